//! Planted faults: each is found, and nothing else is.

use super::*;

/// Three transactions: 0 copied 0 and 1, 1 was aborted, 2 copied 2.
fn clean() -> Partition {
    let copy = |transaction, number| Copy { transaction, number };
    let mark = |transaction, first, count| Mark { transaction, first, count };
    Partition {
        acknowledged: 5,
        numbers: (0..6).collect(),
        copies: vec![copy(0, 0), copy(0, 1), copy(2, 2)],
        marks: vec![mark(0, 0, 2), mark(2, 2, 1)],
        committed: BTreeSet::from([0, 2]),
        aborted: BTreeSet::from([1]),
        offset: 3,
    }
}

fn found(plant: impl FnOnce(&mut Partition)) -> Vec<Finding> {
    let mut partition = clean();
    plant(&mut partition);
    judge(&[clean(), partition]).findings.into_iter().map(|(_, finding)| finding).collect()
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(found(|_| {}), []);
}

#[test]
fn numbers_lost_twice_and_out_of_order_are_found() {
    let lost = found(|partition| partition.numbers.truncate(4));
    assert_eq!(lost, [Finding::Numbers { offset: 4, found: None }]);
    let hole = found(|partition| {
        partition.numbers.remove(2);
    });
    assert_eq!(hole, [Finding::Numbers { offset: 2, found: Some(3) }]);
    let twice = found(|partition| partition.numbers.insert(2, 1));
    assert_eq!(twice, [Finding::Numbers { offset: 2, found: Some(1) }]);
    let order = found(|partition| partition.numbers.swap(3, 4));
    assert_eq!(order, [Finding::Numbers { offset: 3, found: Some(4) }]);
    // What nobody was told of may be there or not.
    assert_eq!(found(|partition| partition.numbers.truncate(5)), []);
}

#[test]
fn an_offset_that_is_not_of_its_transaction_is_found() {
    let ahead = found(|partition| partition.offset = 4);
    assert_eq!(ahead, [Finding::Copies { place: 3, found: None }]);
    let behind = found(|partition| partition.offset = 2);
    assert_eq!(behind, [Finding::BeyondOffset { offset: 2, copied: 3 }]);
}

#[test]
fn torn_transactions_are_found() {
    let mark = found(|partition| {
        partition.marks.pop();
    });
    assert_eq!(mark, [Finding::Torn { transaction: 2 }]);
    let copy = found(|partition| {
        partition.copies.remove(1);
    });
    assert!(copy.contains(&Finding::Torn { transaction: 0 }), "{copy:?}");
    assert!(copy.contains(&Finding::Copies { place: 1, found: Some(2) }), "{copy:?}");
}

#[test]
fn a_transaction_twice_is_found() {
    let twice = found(|partition| {
        partition.copies.push(Copy { transaction: 2, number: 2 });
        partition.marks.push(Mark { transaction: 2, first: 2, count: 1 });
    });
    assert!(twice.contains(&Finding::Copies { place: 3, found: Some(2) }), "{twice:?}");
}

#[test]
fn aborted_transactions_that_are_seen_are_found() {
    let seen = found(|partition| {
        partition.copies.push(Copy { transaction: 1, number: 3 });
        partition.marks.push(Mark { transaction: 1, first: 3, count: 1 });
        partition.offset = 4;
    });
    assert_eq!(seen, [Finding::Aborted { transaction: 1 }]);
}

#[test]
fn a_commit_that_was_told_and_is_gone_is_found() {
    let gone = found(|partition| {
        partition.copies.pop();
        partition.marks.pop();
        partition.offset = 2;
    });
    assert_eq!(gone, [Finding::CommitLost { transaction: 2 }]);
}

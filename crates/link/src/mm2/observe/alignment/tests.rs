//! Histories of a source and its mirror, laid side by side.

use farlog_testkit::history::random::Random;

use super::*;

/// Records of these contents at offsets from `first` on.
fn log(first: i64, contents: &[u64]) -> Vec<Seen> {
    contents.iter().zip(first..).map(|(&content, offset)| Seen { offset, content }).collect()
}

fn whole(records: &[Seen]) -> Stretch<'_> {
    Stretch { records, log_end: Some(records.last().map_or(0, |last| last.offset + 1)) }
}

#[test]
fn without_gaps_even_equal_records_are_told_apart_by_their_place() {
    let (source, target) = (log(100, &[7; 10]), log(40, &[7; 10]));
    let side_by_side = Alignment::new(whole(&source), whole(&target), true);
    for behind in 0..=10 {
        assert_eq!(side_by_side.to_target(100 + behind), Some(Place::Exact(40 + behind)));
    }
    assert_eq!(side_by_side.mirrored_to(), Some(Place::Exact(110)));
    let unanchored = Alignment::new(whole(&source), whole(&target), false);
    assert_eq!(unanchored.to_target(105), Some(Place::Between(40, 45)));
}

#[test]
fn what_a_kill_mirrored_twice_does_not_disturb() {
    let source = log(0, &[1, 2, 3, 4, 5, 6]);
    let target = log(0, &[1, 2, 3, 4, 2, 3, 4, 5, 6]);
    let side_by_side = Alignment::new(whole(&source), whole(&target), true);
    assert_eq!(side_by_side.to_target(2), Some(Place::Exact(2)));
    assert_eq!(side_by_side.to_target(4), Some(Place::Exact(7)), "behind the copies");
    assert_eq!(side_by_side.mirrored_to(), Some(Place::Exact(6)));
}

#[test]
fn what_is_not_mirrored_yet_is_behind() {
    let (source, target) = (log(0, &[1, 2, 3, 4]), log(10, &[1, 2]));
    let side_by_side = Alignment::new(whole(&source), whole(&target), true);
    assert_eq!(side_by_side.mirrored_to(), Some(Place::Exact(2)));
    assert_eq!(side_by_side.to_target(4), Some(Place::Exact(12)), "the mirror's end");
    let cut = Stretch { log_end: None, ..whole(&target) };
    assert_eq!(Alignment::new(whole(&source), cut, true).to_target(4), None);
}

#[test]
fn records_of_somebody_else_are_bounds() {
    let (source, target) = (log(0, &[1, 2, 3, 4]), log(0, &[1, 2, 99, 98, 3, 4]));
    let side_by_side = Alignment::new(whole(&source), whole(&target), true);
    assert_eq!(side_by_side.to_target(2), Some(Place::Between(2, 4)));
    assert_eq!(side_by_side.to_target(3), Some(Place::Exact(5)));
}

/// A source, its mirror, and what is true of them.
struct History {
    source: Vec<Seen>,
    target: Vec<Seen>,
    /// Source offset of each record of the mirror.
    origin: Vec<i64>,
}

/// Control records, aborted records left out, kills, compaction on both sides.
fn history(random: &mut Random) -> History {
    let mut source = Vec::new();
    let mut offset = 0;
    let is_compacted = random.chance(1, 3);
    let contents = if is_compacted { 1 << 40 } else { *random.pick(&[2, 50, 1 << 40]) };
    for _ in 0..random.between(2, 60) {
        offset += i64::from(random.chance(1, 5));
        source.push(Seen { offset, content: random.below(contents) });
        offset += 1;
    }
    let is_aborted: Vec<bool> = source.iter().map(|_| random.chance(1, 10)).collect();
    let (mut target, mut origin): (Vec<Seen>, Vec<i64>) = (Vec::new(), Vec::new());
    let mut next = 0;
    let mut downstream = 500;
    while let Some(record) = source.get(next) {
        if target.is_empty() || !is_aborted[next] {
            target.push(Seen { offset: downstream, content: record.content });
            origin.push(record.offset);
            downstream += 1;
        }
        next += 1;
        if random.chance(1, 30) {
            next -= random.index(next.min(6));
        }
        if random.chance(1, 60) {
            break;
        }
    }
    if is_compacted {
        source.retain(|record| record.offset == 0 || !random.chance(1, 8));
        // Of the copies of a record, the last one is deleted last.
        let mut stays = std::collections::HashSet::new();
        let kept = |j: usize, random: &mut Random, stays: &mut std::collections::HashSet<i64>| {
            let keep = j == 0 || stays.contains(&origin[j]) || !random.chance(1, 8);
            if keep {
                stays.insert(origin[j]);
            }
            keep
        };
        let kept: Vec<bool> = (0..target.len()).map(|j| kept(j, random, &mut stays)).collect();
        let mut keep = kept.iter();
        target.retain(|_| *keep.next().unwrap());
        let mut keep = kept.iter();
        origin.retain(|_| *keep.next().unwrap());
    }
    History { source, target, origin }
}

#[test]
fn an_exact_position_leaves_nothing_out() {
    let mut exact = 0;
    for seed in 0..20_000 {
        let mut random = Random::named(seed, "alignment");
        let History { source, target, origin } = history(&mut random);
        let is_anchored = source[0].offset == origin[0];
        let side_by_side = Alignment::new(whole(&source), whole(&target), is_anchored);
        let position = random.between(0, source.last().unwrap().offset as u64 + 1) as i64;
        let end = target.last().unwrap().offset + 1;
        // The last offset at which a reader may begin without leaving a record out.
        let mut seen_later = std::collections::HashSet::new();
        let mut latest = end;
        for (record, from) in target.iter().zip(&origin).rev() {
            if *from >= position && seen_later.insert(*from) {
                latest = record.offset;
            }
        }
        match side_by_side.to_target(position) {
            Some(Place::Exact(offset)) => {
                exact += 1;
                assert!(offset <= latest, "seed {seed}: {offset} is behind {latest}");
                // Nor is a record read again, but for one that equals another in everything.
                let at = target.iter().position(|record| record.offset == offset);
                let content = at.map(|at| target[at].content);
                let repeats = source.iter().filter(|record| Some(record.content) == content);
                let is_unread = at.is_none_or(|at| origin[at] >= position);
                assert!(is_unread || repeats.count() > 1, "seed {seed}: {offset}");
            }
            Some(Place::Between(lowest, highest)) => {
                assert!(lowest <= highest, "seed {seed}");
                assert!(lowest <= latest, "seed {seed}: {lowest} is behind {latest}");
            }
            None => {}
        }
    }
    assert!(exact > 10_000, "{exact} of 20000 are exact");
}

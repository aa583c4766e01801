//! Writing classic groups: nobody is told what a group has come to before the log has it, and a
//! group that the log did not take goes back to where its members have to join again, as Kafka's.

use farlog_wire::ErrorCode;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::oneshot;

use super::classic::{Answer, Effects, Now, join_refused, sync_refused};
use super::record::{ClassicValue, Key};
use super::{Groups, Inner, log};
use crate::catalog::Catalog;

/// How a write ended.
type Outcome = Result<(), ErrorCode>;

/// The newest write of a group, under way.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    number: u64,
    outcome: Shared<BoxFuture<'static, Outcome>>,
}

/// Those who wait, each with its answer.
pub(super) type Waiting = Vec<(oneshot::Sender<Answer>, Answer)>;

impl Groups {
    /// Writes a group, and answers when that is done.
    pub(super) fn persist(
        &self,
        catalog: &Catalog,
        inner: &mut Inner,
        (id, value): (&str, &ClassicValue),
        now: Now,
        waiting: Waiting,
    ) {
        let key = Key::Classic { group: id.to_owned() };
        let record = key.to_bytes().and_then(|key| Ok((key, Some(value.to_bytes()?))));
        let written = record
            .map_err(|error| log::unwritable(&error))
            .and_then(|record| log::append(catalog, id, &[record], now.wall_ms));
        let outcome = async move { written?.settle().await }.boxed().shared();
        inner.last_write += 1;
        let number = inner.last_write;
        inner.writing.insert(id.to_owned(), Writing { number, outcome: outcome.clone() });
        let (groups, id, generation) = (self.clone(), id.to_owned(), value.generation);
        tokio::spawn(async move {
            let outcome = outcome.await;
            groups.after_write(&id, number, generation, outcome);
            answer(waiting, outcome);
        });
    }

    fn after_write(&self, id: &str, number: u64, generation: i32, outcome: Outcome) {
        let (mut inner, now) = (self.lock(), self.now());
        if inner.writing.get(id).is_some_and(|newest| newest.number == number) {
            inner.writing.remove(id);
        }
        let Err(code) = outcome else { return };
        tracing::error!(group = id, generation, ?code, "what a group came to was not written");
        let group = inner.groups.get_mut(id).and_then(|group| group.classic_mut().ok());
        if let Some(group) = group {
            let mut effects = Effects::default();
            group.not_written(generation, now, &mut effects);
            debug_assert!(effects.answers.is_empty(), "nobody waits in a stable group");
            self.tell_timer(&inner, id);
        }
    }
}

impl Inner {
    /// Answers about a group that has not to be written: assignments, when the log has them.
    pub(super) fn answer(&self, id: &str, waiting: Waiting) {
        let Some(writing) = self.writing.get(id).cloned() else { return answer(waiting, Ok(())) };
        let (held, others): (Waiting, Waiting) =
            waiting.into_iter().partition(|(_, answer)| matches!(answer, Answer::Sync(..)));
        answer(others, Ok(()));
        if !held.is_empty() {
            tokio::spawn(async move { answer(held, writing.outcome.await) });
        }
    }
}

fn answer(waiting: Waiting, outcome: Outcome) {
    for (sender, answer) in waiting {
        let answer = match outcome {
            Ok(()) => answer,
            Err(code) => answer.failed(code),
        };
        // Who has gone away needs no answer.
        let _gone = sender.send(answer);
    }
}

impl Answer {
    /// The answer when the group could not be written; a refusal stays what it is.
    fn failed(self, code: ErrorCode) -> Self {
        match self {
            Self::Join(waiter, response) if !response.error_code.is_error() => {
                Self::Join(waiter, join_refused(code, &response.member_id))
            }
            Self::Sync(waiter, response) if !response.error_code.is_error() => {
                Self::Sync(waiter, sync_refused(code))
            }
            refusal => refusal,
        }
    }
}

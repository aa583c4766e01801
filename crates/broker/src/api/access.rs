//! What of a request its sender may have.
//!
//! Every request of the table must say so before its handler sees it: an API that does not
//! implement [`Authorize`] does not compile. Handlers get what is left of their requests, and what
//! was taken out is answered here, so that no handler can forget to ask. The one exception is
//! Fetch, whose session knows partitions that its request does not name: it asks for itself.

mod cluster;
mod groups;
mod records;
mod topics;
mod transactions;

use std::sync::Arc;

use farlog_wire::{ErrorCode, Request, Uuid};

use super::RequestContext;
use crate::broker::Shared;
use crate::connection::Peer;
use crate::security::acl::{CLUSTER_NAME, Operation, ResourceType};
use crate::security::{Acls, Asker, AuthorizerOptions};

/// Says what of a request its sender may have, and takes out the rest.
pub(super) trait Authorize: Request {
    fn authorize(&mut self, access: &Access) -> Verdict<Self::Response>;
}

/// What becomes of a request.
pub(super) enum Verdict<R> {
    /// All of it is served.
    Allowed,
    /// What is left in it is served; then the answer is completed.
    Partly {
        /// For clients that await no answer.
        code: ErrorCode,
        complete: Box<dyn FnOnce(&mut R) + Send>,
    },
    /// Nothing is served.
    Refused(R),
    /// Nothing is served, and the client awaits no answer.
    Closed(ErrorCode),
}

/// Asks the authorizer on behalf of a request's sender.
#[derive(Clone, Debug)]
pub(super) struct Access {
    broker: Arc<Shared>,
    peer: Arc<Peer>,
    acls: Arc<Acls>,
    host: String,
    /// The version of the request.
    version: i16,
}

impl<R> Verdict<R> {
    /// Serves what is left, and lets `complete` finish the answer.
    fn after(complete: impl FnOnce(&mut R) + Send + 'static) -> Self {
        Self::Partly { code: ErrorCode::NONE, complete: Box::new(complete) }
    }

    /// As above, unless nothing was taken out.
    fn without<T: Send + 'static>(
        refused: Vec<T>,
        complete: impl FnOnce(&mut R, Vec<T>) + Send + 'static,
    ) -> Self {
        match refused.is_empty() {
            true => Self::Allowed,
            false => Self::after(move |response| complete(response, refused)),
        }
    }

    /// Everything, or this answer.
    fn all_or(is_allowed: bool, refusal: impl FnOnce() -> R) -> Self {
        if is_allowed { Self::Allowed } else { Self::Refused(refusal()) }
    }
}

impl Access {
    /// How to ask for the sender of a request; `None` if there is no authorizer.
    pub(super) fn of(context: &RequestContext) -> Option<Self> {
        context.broker.authorizer.as_ref()?;
        Some(Self {
            broker: Arc::clone(&context.broker),
            peer: Arc::clone(&context.peer),
            acls: context.broker.catalog.acls(),
            host: context.peer.address.ip().to_canonical().to_string(),
            version: context.version,
        })
    }

    fn ask<T>(&self, question: impl FnOnce(&AuthorizerOptions, Asker<'_>) -> T) -> Option<T> {
        let asker = Asker { principal: &self.peer.principal, host: &self.host };
        self.broker.authorizer.as_ref().map(|authorizer| question(authorizer, asker))
    }

    fn may(&self, operation: Operation, resource: ResourceType, name: &str) -> bool {
        let question = |authorizer: &AuthorizerOptions, asker: Asker<'_>| {
            authorizer.allows(&self.acls, asker, operation, resource, name)
        };
        self.ask(question).unwrap_or(true)
    }

    pub(super) fn topic(&self, operation: Operation, name: &str) -> bool {
        self.may(operation, ResourceType::Topic, name)
    }

    fn group(&self, operation: Operation, name: &str) -> bool {
        self.may(operation, ResourceType::Group, name)
    }

    fn transaction(&self, operation: Operation, id: &str) -> bool {
        self.may(operation, ResourceType::TransactionalId, id)
    }

    fn cluster(&self, operation: Operation) -> bool {
        self.may(operation, ResourceType::Cluster, CLUSTER_NAME)
    }

    /// Whether the sender may write to any topic at all.
    fn writes_somewhere(&self) -> bool {
        let question = |authorizer: &AuthorizerOptions, asker: Asker<'_>| {
            let (write, topic) = (Operation::Write, ResourceType::Topic);
            authorizer.allows_some(&self.acls, asker, write, topic)
        };
        self.ask(question).unwrap_or(true)
    }

    /// Which of the operations in `all`, a bit for each code, the sender may do (KIP-430).
    fn operations(&self, resource: ResourceType, name: &str, all: i32) -> i32 {
        let operations = Operation::ALL.iter().filter(|operation| {
            all & (1 << operation.code()) != 0 && self.may(**operation, resource, name)
        });
        operations.fold(0, |bits, operation| bits | 1 << operation.code())
    }

    /// The topic of a name, or of an id; `None` for an id that no topic has, which is nobody's
    /// secret.
    fn name_of(&self, name: &str, id: Uuid) -> Option<String> {
        if id.is_zero() {
            return Some(name.to_owned());
        }
        self.broker.catalog.topic_by_id(id).map(|topic| topic.name.clone())
    }

    /// Whether the sender may do something to a topic by name or id, or may be told that there is
    /// none of this id.
    fn named(&self, operation: Operation, name: &str, id: Uuid) -> bool {
        self.name_of(name, id).is_none_or(|name| self.topic(operation, &name))
    }
}

//! DeleteTopics, versions 1 to 6.
//!
//! - KIP-516: by id from version 6 on.
//! - Groups forget where they were in it, as in Kafka.
//! - The topic's records are gone at once; fetches that wait on it are woken with
//!   `UNKNOWN_TOPIC_OR_PARTITION`.

use farlog_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use farlog_wire::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use farlog_wire::{ErrorCode, VersionRange};

use super::RequestContext;

pub(crate) const VERSIONS: VersionRange = VersionRange { min: 1, max: 6 };

pub(super) async fn handle(
    context: RequestContext,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let by_name = request
        .topic_names
        .into_iter()
        .map(|name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() });
    let mut responses = Vec::new();
    for wanted in by_name.chain(request.topics) {
        responses.push(delete(&context, wanted).await);
    }
    DeleteTopicsResponse { responses, ..DeleteTopicsResponse::default() }
}

async fn delete(context: &RequestContext, wanted: DeleteTopicState) -> DeletableTopicResult {
    let catalog = &context.broker.catalog;
    let refused = |error_code, error_message| DeletableTopicResult {
        name: wanted.name.clone(),
        topic_id: wanted.topic_id,
        error_code,
        error_message,
    };
    let name = match &wanted.name {
        Some(name) => name.clone(),
        None => match catalog.topic_by_id(wanted.topic_id) {
            Some(topic) => topic.name.clone(),
            None => return refused(ErrorCode::UNKNOWN_TOPIC_ID, None),
        },
    };
    match catalog.delete_topic(&name).await {
        Ok(topic) => {
            context.broker.groups.topic_deleted(catalog, &name);
            DeletableTopicResult {
                name: Some(name),
                topic_id: topic.id,
                ..DeletableTopicResult::default()
            }
        }
        Err(refusal) => refused(refusal.code, refusal.message),
    }
}

//! What it means that the target refused a batch.

use farlog_wire::error_code::ErrorCode;

use super::context::{LinkContext, MirrorPartition};
use super::stop::{Doubt, Interruption, Stop};
use crate::status::PartitionState;
use crate::target::configs::{RaiseError, raise_max_message_bytes};

/// Judges an error code of a produce answer.
pub(crate) async fn interruption(
    context: &LinkContext,
    mirror: &MirrorPartition,
    code: ErrorCode,
    message: Option<&str>,
    batch_bytes: usize,
) -> Interruption {
    let said = match message {
        Some(message) if !message.is_empty() => format!("{code}: {message}"),
        _ => format!("{code}: {}", code.message()),
    };
    match code {
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
            too_large(context, mirror, code, batch_bytes).await
        }
        ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
            Stop::new(
                PartitionState::StoppedDenied,
                format!("the link's principal needs WRITE on target topic {}", mirror.target_topic),
            )
            .into()
        }
        ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED => Stop::new(
            PartitionState::StoppedForeignWrite,
            format!(
                "another producer wrote to mirror {mirror} with this link's producer id and a \
                 newer epoch ({said}); find and stop it, then delete the mirror topic, which is \
                 mirrored again from its start"
            ),
        )
        .into(),
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        | ErrorCode::DUPLICATE_SEQUENCE_NUMBER
        | ErrorCode::UNKNOWN_PRODUCER_ID
        // What takes offsets as they are given says so before it looks at the sequence.
        | ErrorCode::OFFSET_OUT_OF_RANGE => {
            // The swap failed: the mirror is not where it was believed to be.
            Doubt::target(format!("the mirror moved: {said}")).into()
        }
        code if code.is_retriable() => Doubt::target(said).into(),
        _ => Stop::new(
            PartitionState::StoppedRefused,
            format!("the target refused a batch of mirror {mirror}: {said}; see the broker's log"),
        )
        .into(),
    }
}

/// A mirror must take what its source took: its limit is raised once, if we may.
async fn too_large(
    context: &LinkContext,
    mirror: &MirrorPartition,
    code: ErrorCode,
    batch_bytes: usize,
) -> Interruption {
    let topic = &mirror.target_topic;
    if code == ErrorCode::RECORD_LIST_TOO_LARGE {
        // Not the topic's limit, which the broker looks at first: the batch does not fit a segment.
        return too_large_stop(format!(
            "a batch of {batch_bytes} bytes is larger than a segment of target topic {topic}; \
             raise segment.bytes there to more than {batch_bytes}"
        ));
    }
    let raised = raise_max_message_bytes(&context.target, &mirror.target_topic, batch_bytes).await;
    let why = match raised {
        Ok(()) => {
            tracing::info!(
                topic = %mirror.target_topic, batch_bytes,
                "raised max.message.bytes of a mirror topic to fit a batch of its source"
            );
            return Doubt::target("max.message.bytes of the mirror was raised").into();
        }
        Err(RaiseError::AlreadyEnough { max_message_bytes }) => format!(
            "its max.message.bytes is {max_message_bytes}, so a limit of the brokers holds \
             (message.max.bytes, socket.request.max.bytes)"
        ),
        Err(RaiseError::Failed(why)) => {
            format!("raising it failed, which needs ALTER_CONFIGS on the topic: {why}")
        }
    };
    too_large_stop(format!(
        "a batch of {batch_bytes} bytes is larger than target topic {topic} accepts; {why}; raise \
         max.message.bytes there to at least {batch_bytes}",
    ))
}

fn too_large_stop(why: String) -> Interruption {
    Stop::new(PartitionState::StoppedTooLarge, why).into()
}

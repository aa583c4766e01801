//! Who may write, read and look for records.

use farlog_wire::ErrorCode;
use farlog_wire::messages::delete_records_request::DeleteRecordsRequest;
use farlog_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use farlog_wire::messages::describe_producers_request::DescribeProducersRequest;
use farlog_wire::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, TopicResponse,
};
use farlog_wire::messages::fetch_request::FetchRequest;
use farlog_wire::messages::fetch_response::FetchResponse;
use farlog_wire::messages::list_offsets_request::ListOffsetsRequest;
use farlog_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use farlog_wire::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use farlog_wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use farlog_wire::messages::produce_request::{ProduceRequest, TopicProduceData};
use farlog_wire::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use farlog_wire::records::BatchHeader;

use super::{Access, Authorize, Verdict};
use crate::security::acl::Operation;

const CODE: ErrorCode = ErrorCode::TOPIC_AUTHORIZATION_FAILED;

impl Authorize for ProduceRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<ProduceResponse> {
        let id = self.transactional_id.as_ref();
        if let Some(id) = id.filter(|_| has_transactional(&self.topic_data)) {
            let code = ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
            if !access.transaction(Operation::Write, id) {
                let topics = self.topic_data.iter().map(|topic| refused_produce(topic, code));
                let responses = topics.collect();
                return match self.acks {
                    0 => Verdict::Closed(code),
                    _ => Verdict::Refused(ProduceResponse {
                        responses,
                        ..ProduceResponse::default()
                    }),
                };
            }
        }
        let may =
            |topic: &TopicProduceData| access.named(Operation::Write, &topic.name, topic.topic_id);
        let refused: Vec<TopicProduceResponse> = self
            .topic_data
            .extract_if(.., |topic| !may(topic))
            .map(|topic| refused_produce(&topic, CODE))
            .collect();
        if refused.is_empty() {
            return Verdict::Allowed;
        }
        let complete = |response: &mut ProduceResponse| response.responses.extend(refused);
        Verdict::Partly { code: CODE, complete: Box::new(complete) }
    }
}

fn has_transactional(topics: &[TopicProduceData]) -> bool {
    let mut partitions = topics.iter().flat_map(|topic| &topic.partition_data);
    partitions.any(|partition| {
        let header = partition.records.as_ref().map(|records| BatchHeader::parse(records));
        header.is_some_and(|header| header.is_ok_and(|it| it.attributes.is_transactional()))
    })
}

fn refused_produce(topic: &TopicProduceData, error_code: ErrorCode) -> TopicProduceResponse {
    let partitions = topic.partition_data.iter().map(|partition| PartitionProduceResponse {
        index: partition.index,
        error_code,
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        ..PartitionProduceResponse::default()
    });
    TopicProduceResponse {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partition_responses: partitions.collect(),
    }
}

impl Authorize for FetchRequest {
    /// Its handler asks, for every partition of the session.
    fn authorize(&mut self, _: &Access) -> Verdict<FetchResponse> {
        Verdict::Allowed
    }
}

impl Authorize for ListOffsetsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<ListOffsetsResponse> {
        let refused =
            self.topics.extract_if(.., |topic| !access.topic(Operation::Describe, &topic.name));
        let refused = refused.map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| ListOffsetsPartitionResponse {
                partition_index: asked.partition_index,
                error_code: CODE,
                timestamp: -1,
                offset: -1,
                leader_epoch: -1,
            });
            let partitions = partitions.collect();
            ListOffsetsTopicResponse { partitions, name: topic.name }
        });
        Verdict::without(refused.collect(), |response: &mut ListOffsetsResponse, refused| {
            response.topics.extend(refused);
        })
    }
}

impl Authorize for OffsetForLeaderEpochRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<OffsetForLeaderEpochResponse> {
        let refused =
            self.topics.extract_if(.., |topic| !access.topic(Operation::Describe, &topic.topic));
        let refused = refused.map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| EpochEndOffset {
                error_code: CODE,
                partition: asked.partition,
                leader_epoch: -1,
                end_offset: -1,
            });
            let partitions = partitions.collect();
            OffsetForLeaderTopicResult { partitions, topic: topic.topic }
        });
        Verdict::without(refused.collect(), |response: &mut Self::Response, refused| {
            response.topics.extend(refused);
        })
    }
}

impl Authorize for DeleteRecordsRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DeleteRecordsResponse> {
        let refused =
            self.topics.extract_if(.., |topic| !access.topic(Operation::Delete, &topic.name));
        let refused = refused.map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: -1,
                error_code: CODE,
            });
            let partitions = partitions.collect();
            DeleteRecordsTopicResult { partitions, name: topic.name }
        });
        Verdict::without(refused.collect(), |response: &mut DeleteRecordsResponse, refused| {
            response.topics.extend(refused);
        })
    }
}

impl Authorize for DescribeProducersRequest {
    fn authorize(&mut self, access: &Access) -> Verdict<DescribeProducersResponse> {
        let refused =
            self.topics.extract_if(.., |topic| !access.topic(Operation::Read, &topic.name));
        let refused = refused.map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|&index| PartitionResponse {
                partition_index: index,
                error_code: CODE,
                error_message: None,
                ..PartitionResponse::default()
            });
            TopicResponse { partitions: partitions.collect(), name: topic.name }
        });
        Verdict::without(refused.collect(), |response: &mut Self::Response, refused| {
            response.topics.extend(refused);
        })
    }
}

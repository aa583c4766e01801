//! Questions about partitions, each of which only the partition's leader can answer.

use std::collections::{BTreeMap, BTreeSet};

use farlog_wire::ErrorCode;
use futures_util::future::join_all;

use crate::cluster::{Cluster, RequestError, TopicSelection};
use crate::connection::ClientRequest;
use crate::error::BrokerError;
use crate::topic_partition::TopicPartition;

/// One kind of question.
pub(super) trait LeaderCall: Sync {
    /// What is said about a partition in the question.
    type Item: Clone + Send + Sync;
    /// What is said about it in the answer.
    type Output: Send;
    type Request: ClientRequest<Response: Send> + Send + Sync;

    fn request(&self, items: &[(TopicPartition, Self::Item)]) -> Self::Request;

    fn answers(
        &self,
        response: <Self::Request as farlog_wire::Request>::Response,
    ) -> Vec<Answer<Self::Output>>;
}

/// What a broker says about one partition.
pub(super) struct Answer<T> {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) code: ErrorCode,
    pub(super) message: Option<String>,
    pub(super) value: T,
}

type Items<C> = BTreeMap<TopicPartition, <C as LeaderCall>::Item>;
type Batch<C> = Vec<(TopicPartition, <C as LeaderCall>::Item)>;
type Results<C> = BTreeMap<TopicPartition, Result<<C as LeaderCall>::Output, RequestError>>;

impl Cluster {
    /// Asks about all partitions, each at its leader; the answers hold exactly the partitions that
    /// were asked about. Partitions whose error may pass are asked about again.
    pub(super) async fn ask_leaders<C: LeaderCall>(&self, call: &C, items: Items<C>) -> Results<C> {
        let mut retry = self.retry();
        let mut open = items;
        let mut results = Results::<C>::new();
        loop {
            let round = self.ask_leaders_once(call, &open).await;
            for (name, result) in round {
                match &result {
                    Err(error) if error.is_retriable() => self.forget_topic(&name.topic),
                    _ => {
                        open.remove(&name);
                    }
                }
                results.insert(name, result);
            }
            if open.is_empty() || !retry.wait().await {
                return results;
            }
        }
    }

    async fn ask_leaders_once<C: LeaderCall>(&self, call: &C, items: &Items<C>) -> Results<C> {
        let mut results = Results::<C>::new();
        if let Err(error) = self.find_leaders(items.keys()).await {
            results.extend(items.keys().map(|name| (name.clone(), Err(error.clone()))));
            return results;
        }
        let metadata = self.cached_metadata();
        let mut batches: BTreeMap<i32, Batch<C>> = BTreeMap::new();
        for (name, item) in items {
            let leader = metadata.leader(&name.topic, name.partition);
            match leader.and_then(|leader| leader.name.id) {
                Some(id) => batches.entry(id).or_default().push((name.clone(), item.clone())),
                None => {
                    let error = self.leaderless(&metadata, &name.topic, name.partition);
                    results.insert(name.clone(), Err(error));
                }
            }
        }
        let asked = batches.iter().map(|(id, batch)| self.ask_leader(call, *id, batch));
        for part in join_all(asked).await {
            results.extend(part);
        }
        results
    }

    async fn ask_leader<C: LeaderCall>(
        &self,
        call: &C,
        leader: i32,
        batch: &Batch<C>,
    ) -> Results<C> {
        let all = |error: RequestError| {
            batch.iter().map(|(name, _)| (name.clone(), Err(error.clone()))).collect()
        };
        let connection = match self.connection(leader).await {
            Ok(connection) => connection,
            Err(error) => return all(error),
        };
        let response = match connection.send(&call.request(batch)).await {
            Ok(response) => response,
            Err(error) => return all(error.into()),
        };
        let broker = connection.broker();
        let api = <C::Request as farlog_wire::Request>::API_KEY;
        let mut results: Results<C> = call
            .answers(response)
            .into_iter()
            .map(|answer| {
                let name = TopicPartition::new(answer.topic, answer.partition);
                let (code, message) = (answer.code, answer.message);
                let subject = name.to_string();
                let result = if code == ErrorCode::NONE {
                    Ok(answer.value)
                } else {
                    let broker = broker.clone();
                    Err(BrokerError { broker, api, subject, code, message }.into())
                };
                (name, result)
            })
            .collect();
        let asked: BTreeSet<&TopicPartition> = batch.iter().map(|(name, _)| name).collect();
        results.retain(|name, _| asked.contains(name));
        for name in asked {
            results.entry(name.clone()).or_insert_with(|| {
                let subject = name.to_string();
                Err(RequestError::Unanswered { broker: broker.clone(), api, subject })
            });
        }
        results
    }

    /// Asks for the metadata of the topics whose leaders are not all known.
    async fn find_leaders(
        &self,
        names: impl Iterator<Item = &TopicPartition> + Send,
    ) -> Result<(), RequestError> {
        let metadata = self.cached_metadata();
        let unknown: BTreeSet<String> = names
            .filter(|name| metadata.leader(&name.topic, name.partition).is_none())
            .map(|name| name.topic.to_string())
            .collect();
        if !unknown.is_empty() {
            self.metadata(&TopicSelection::Names(unknown.into_iter().collect())).await?;
        }
        Ok(())
    }
}

//! Configs of topics, brokers and groups: reading them, changing them one by one (KIP-339).

use std::collections::BTreeMap;

use farlog_wire::ApiKey;
use farlog_wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use farlog_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse,
};
use farlog_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use super::topics::outcome;
use crate::broker_name::BrokerName;
use crate::cluster::{Cluster, RequestError};
use crate::error::BrokerError;

/// What a config belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    /// A topic.
    Topic,
    /// A broker by node id; an empty name means the default of all brokers.
    Broker,
    /// A consumer group (KIP-848).
    Group,
}

/// One thing that has configs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigResource {
    /// Its kind.
    pub resource_type: ResourceType,
    /// Its name.
    pub name: String,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its value; `None` when it is sensitive or has none.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
    /// Whether its value is a secret.
    pub is_sensitive: bool,
}

/// Where a value comes from (`DescribeConfigsResponse.json`, `config_source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set on the broker while it runs.
    DynamicBroker,
    /// Set for all brokers while they run.
    DynamicDefaultBroker,
    /// The broker's properties file.
    StaticBroker,
    /// Built in.
    Default,
    /// Set on the group.
    Group,
    /// A source that this build does not know, by Kafka's number.
    Other(i8),
}

/// One change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The setting.
    pub name: String,
    /// What to do with it.
    pub operation: ConfigOperation,
}

/// What to do with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// Set it.
    Set(String),
    /// Back to the default.
    Delete,
    /// Add to a list.
    Append(String),
    /// Take from a list.
    Subtract(String),
}

/// Settings by name.
type Entries = BTreeMap<String, ConfigEntry>;
type PerResource<T> = BTreeMap<ConfigResource, Result<T, BrokerError>>;

// === impl Cluster ===

impl Cluster {
    /// Reads all settings of topics, brokers and groups.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> Result<PerResource<Entries>, RequestError> {
        let mut results = PerResource::new();
        for (broker_id, resources) in by_broker(resources) {
            let described = |resource: &ConfigResource| DescribeConfigsResource {
                resource_type: resource.resource_type.code(),
                resource_name: resource.name.clone(),
                configuration_keys: None,
            };
            let request = DescribeConfigsRequest {
                resources: resources.into_iter().map(described).collect(),
                ..DescribeConfigsRequest::default()
            };
            let (connection, response) = match broker_id {
                Some(id) => self.send_to_from(id, &request).await?,
                None => self.send_any_from(&request).await?,
            };
            read_configs(connection.broker(), response, &mut results);
        }
        Ok(results)
    }

    /// Changes settings one by one; the others stay as they are.
    pub async fn incremental_alter_configs(
        &self,
        changes: &BTreeMap<ConfigResource, Vec<ConfigChange>>,
        validate_only: bool,
    ) -> Result<PerResource<()>, RequestError> {
        let resource =
            |(resource, changes): (&ConfigResource, &Vec<ConfigChange>)| AlterConfigsResource {
                resource_type: resource.resource_type.code(),
                resource_name: resource.name.clone(),
                configs: changes.iter().map(ConfigChange::request).collect(),
            };
        let request = IncrementalAlterConfigsRequest {
            resources: changes.iter().map(resource).collect(),
            validate_only,
        };
        let (connection, response) = self.send_controller_from(&request).await?;
        let api = ApiKey::IncrementalAlterConfigs;
        let results = response.responses.into_iter().filter_map(|answer| {
            let resource_type = ResourceType::from_code(answer.resource_type)?;
            let name = answer.resource_name;
            let (code, message) = (answer.error_code, answer.error_message);
            let result = outcome(connection.broker(), api, &name, code, message);
            Some((ConfigResource { resource_type, name }, result))
        });
        Ok(results.collect())
    }
}

/// Brokers describe only themselves; everything else can be asked anywhere.
fn by_broker(resources: &[ConfigResource]) -> BTreeMap<Option<i32>, Vec<&ConfigResource>> {
    let mut groups: BTreeMap<Option<i32>, Vec<&ConfigResource>> = BTreeMap::new();
    for resource in resources {
        let broker_id = match resource.resource_type {
            ResourceType::Broker => resource.name.parse().ok(),
            ResourceType::Topic | ResourceType::Group => None,
        };
        groups.entry(broker_id).or_default().push(resource);
    }
    groups
}

fn read_configs(
    broker: &BrokerName,
    response: DescribeConfigsResponse,
    results: &mut PerResource<Entries>,
) {
    for answer in response.results {
        let Some(resource_type) = ResourceType::from_code(answer.resource_type) else { continue };
        let name = answer.resource_name;
        let (api, code) = (ApiKey::DescribeConfigs, answer.error_code);
        let result = outcome(broker, api, &name, code, answer.error_message);
        let configs = answer.configs.into_iter();
        let entries = configs.map(|config| (config.name.clone(), ConfigEntry::new(config)));
        let entries = entries.collect();
        results.insert(ConfigResource { resource_type, name }, result.map(|()| entries));
    }
}

// === impl ResourceType ===

impl ResourceType {
    /// Kafka's number (`ConfigResource.Type`).
    fn code(self) -> i8 {
        match self {
            ResourceType::Topic => 2,
            ResourceType::Broker => 4,
            ResourceType::Group => 32,
        }
    }

    fn from_code(code: i8) -> Option<ResourceType> {
        [ResourceType::Topic, ResourceType::Broker, ResourceType::Group]
            .into_iter()
            .find(|resource_type| resource_type.code() == code)
    }
}

// === impl ConfigResource ===

impl ConfigResource {
    /// A topic.
    pub fn topic(name: impl Into<String>) -> ConfigResource {
        ConfigResource { resource_type: ResourceType::Topic, name: name.into() }
    }

    /// A broker.
    pub fn broker(id: i32) -> ConfigResource {
        ConfigResource { resource_type: ResourceType::Broker, name: id.to_string() }
    }
}

// === impl ConfigEntry ===

impl ConfigEntry {
    fn new(config: DescribeConfigsResourceResult) -> ConfigEntry {
        ConfigEntry {
            value: config.value,
            source: ConfigSource::from_code(config.config_source),
            read_only: config.read_only,
            is_sensitive: config.is_sensitive,
        }
    }

    /// Whether somebody set it on the topic or group itself.
    pub fn is_own(&self) -> bool {
        matches!(self.source, ConfigSource::Topic | ConfigSource::Group)
    }
}

// === impl ConfigSource ===

impl ConfigSource {
    fn from_code(code: i8) -> ConfigSource {
        match code {
            1 => ConfigSource::Topic,
            2 => ConfigSource::DynamicBroker,
            3 => ConfigSource::DynamicDefaultBroker,
            4 => ConfigSource::StaticBroker,
            5 => ConfigSource::Default,
            8 => ConfigSource::Group,
            other => ConfigSource::Other(other),
        }
    }
}

// === impl ConfigChange ===

impl ConfigChange {
    /// Sets a value.
    pub fn set(name: impl Into<String>, value: impl Into<String>) -> ConfigChange {
        ConfigChange { name: name.into(), operation: ConfigOperation::Set(value.into()) }
    }

    /// Goes back to the default.
    pub fn delete(name: impl Into<String>) -> ConfigChange {
        ConfigChange { name: name.into(), operation: ConfigOperation::Delete }
    }

    fn request(&self) -> AlterableConfig {
        let (config_operation, value) = match &self.operation {
            ConfigOperation::Set(value) => (0, Some(value)),
            ConfigOperation::Delete => (1, None),
            ConfigOperation::Append(value) => (2, Some(value)),
            ConfigOperation::Subtract(value) => (3, Some(value)),
        };
        AlterableConfig { name: self.name.clone(), config_operation, value: value.cloned() }
    }
}

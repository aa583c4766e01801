//! The changes of a catalog as they are written: JSON, one object each, its field `kind` first.
//! Stored, so kinds and fields keep their names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::security::acl::Acl;
use crate::security::quota::EntityType;
use crate::security::scram::{ScramCredential, ScramHash};

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub(crate) enum Record {
    /// The cluster has an id; the first record of a catalog.
    Cluster { id: String },
    /// A broker opened the catalog: the leader epoch rises by one.
    Started,
    /// Producer ids below `end` may have been given away.
    ProducerIds { end: i64 },
    /// A topic was made.
    TopicCreated { name: String, id: String, partitions: i32, configs: BTreeMap<String, String> },
    /// A topic was deleted.
    TopicDeleted { id: String },
    /// A topic has so many partitions now.
    PartitionsAdded { id: String, partitions: i32 },
    /// These configs are set on a topic now, and no others.
    ConfigsSet { id: String, configs: BTreeMap<String, String> },
    /// These entries hold now.
    AclsAdded { acls: Vec<Acl> },
    /// These entries hold no longer.
    AclsRemoved { acls: Vec<Acl> },
    /// An entity has these quotas now, and no others.
    QuotasSet { entity: Vec<(EntityType, Option<String>)>, quotas: BTreeMap<String, f64> },
    /// A user has this SCRAM credential now.
    ScramSet { user: String, mechanism: ScramHash, credential: ScramCredential },
    /// A user has none for this mechanism any more.
    ScramRemoved { user: String, mechanism: ScramHash },
}

impl Record {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, integers and maps of strings are always JSON")
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}

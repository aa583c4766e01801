//! Kafka's error codes: what a broker says when it says no.
//!
//! Codes, names and which of them are retriable are those of Kafka 4.3 (protocol guide, "Protocol
//! Error Codes"); the sentences are ours.

use std::fmt;

/// A Kafka error code, known to this build or not. 0 is [`ErrorCode::NONE`].
///
/// Displays as `NOT_LEADER_OR_FOLLOWER (6): this broker does not lead the partition`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

/// What is known about one code.
struct Entry {
    code: i16,
    name: &'static str,
    retriable: bool,
    message: &'static str,
}

impl ErrorCode {
    /// Whether the broker reports an error.
    pub fn is_error(self) -> bool {
        self != Self::NONE
    }

    /// `Ok` for [`ErrorCode::NONE`], else the code as the error.
    ///
    /// # Errors
    /// The code itself.
    pub fn check(self) -> Result<(), Self> {
        if self.is_error() { Err(self) } else { Ok(()) }
    }

    /// Kafka's name of the code, `UNKNOWN` for codes newer than Kafka 4.3.
    pub fn name(self) -> &'static str {
        self.entry().map_or("UNKNOWN", |entry| entry.name)
    }

    /// What the code means, in one sentence without a full stop.
    pub fn message(self) -> &'static str {
        self.entry().map_or("an error code that this version of Farlog does not know", |entry| {
            entry.message
        })
    }

    /// Whether Kafka's own clients try again after this error, with fresh metadata or coordinator.
    /// Codes that are not known are not retriable.
    pub fn is_retriable(self) -> bool {
        self.entry().is_some_and(|entry| entry.retriable)
    }

    fn entry(self) -> Option<&'static Entry> {
        // The table starts at -1 and has no gaps.
        let index = usize::try_from(i32::from(self.0) + 1).ok()?;
        TABLE.get(index)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}): {}", self.name(), self.0, self.message())
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}({})", self.name(), self.0)
    }
}

impl std::error::Error for ErrorCode {}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

// `ErrorCode::entry` finds codes by their place.
const _: () = {
    let mut index = 0;
    while index < TABLE.len() {
        assert!(TABLE[index].code as i32 == index as i32 - 1);
        index += 1;
    }
};

const RETRIABLE: bool = true;
const FATAL: bool = false;

macro_rules! error_codes {
    ($($code:literal $name:ident $retriable:ident $message:literal)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("`", stringify!($name), "`: ", $message, ".")]
                pub const $name: Self = Self($code);
            )*
        }

        const TABLE: &[Entry] = &[$(Entry {
            code: $code,
            name: stringify!($name),
            retriable: $retriable,
            message: $message,
        }),*];
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR FATAL
        "the broker failed in a way that it has no code for; its log says more"
    0 NONE FATAL "no error"
    1 OFFSET_OUT_OF_RANGE FATAL "the offset lies outside what the partition holds"
    2 CORRUPT_MESSAGE RETRIABLE
        "the batch is corrupt, too large, or lacks a key that a compacted topic needs"
    3 UNKNOWN_TOPIC_OR_PARTITION RETRIABLE "the broker does not know the topic or partition"
    4 INVALID_FETCH_SIZE FATAL "the fetch size is not valid"
    5 LEADER_NOT_AVAILABLE RETRIABLE "the partition has no leader at the moment"
    6 NOT_LEADER_OR_FOLLOWER RETRIABLE
        "this broker does not lead the partition, or holds no replica of it"
    7 REQUEST_TIMED_OUT RETRIABLE "the broker could not finish the request in time"
    8 BROKER_NOT_AVAILABLE FATAL "the broker is not available"
    9 REPLICA_NOT_AVAILABLE RETRIABLE "the replica is not available on this broker"
    10 MESSAGE_TOO_LARGE FATAL
        "a batch is larger than the topic or broker accepts (max.message.bytes)"
    11 STALE_CONTROLLER_EPOCH FATAL "the controller has moved to another broker"
    12 OFFSET_METADATA_TOO_LARGE FATAL "the metadata text of a committed offset is too long"
    13 NETWORK_EXCEPTION RETRIABLE "the connection was lost before the answer came"
    14 COORDINATOR_LOAD_IN_PROGRESS RETRIABLE "the coordinator is still loading its state"
    15 COORDINATOR_NOT_AVAILABLE RETRIABLE "the coordinator is not available"
    16 NOT_COORDINATOR RETRIABLE "this broker is not the coordinator"
    17 INVALID_TOPIC_EXCEPTION FATAL
        "the topic name is not valid, or clients may not do this to an internal topic"
    18 RECORD_LIST_TOO_LARGE FATAL "a batch is larger than a log segment of the topic"
    19 NOT_ENOUGH_REPLICAS RETRIABLE
        "too few in-sync replicas to accept the write (min.insync.replicas)"
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND RETRIABLE
        "written, but to fewer in-sync replicas than required"
    21 INVALID_REQUIRED_ACKS FATAL "the value of acks is not valid"
    22 ILLEGAL_GENERATION FATAL "the group has moved on to another generation"
    23 INCONSISTENT_GROUP_PROTOCOL FATAL
        "the member has no protocol in common with the rest of its group"
    24 INVALID_GROUP_ID FATAL "the group id is not valid"
    25 UNKNOWN_MEMBER_ID FATAL "the coordinator does not know this member"
    26 INVALID_SESSION_TIMEOUT FATAL "the session timeout is outside the bounds of the broker"
    27 REBALANCE_IN_PROGRESS FATAL "the group is rebalancing; its members have to join again"
    28 INVALID_COMMIT_OFFSET_SIZE FATAL
        "the committed offsets take more room than the broker allows"
    29 TOPIC_AUTHORIZATION_FAILED FATAL "this principal may not do this to the topic"
    30 GROUP_AUTHORIZATION_FAILED FATAL "this principal may not do this to the group"
    31 CLUSTER_AUTHORIZATION_FAILED FATAL "this principal may not do this to the cluster"
    32 INVALID_TIMESTAMP FATAL "a record's timestamp is outside what the topic accepts"
    33 UNSUPPORTED_SASL_MECHANISM FATAL "the broker does not offer this SASL mechanism"
    34 ILLEGAL_SASL_STATE FATAL "the request does not fit the state of the SASL handshake"
    35 UNSUPPORTED_VERSION FATAL "the broker does not know this version of the API"
    36 TOPIC_ALREADY_EXISTS FATAL "a topic of this name exists"
    37 INVALID_PARTITIONS FATAL "the number of partitions is not valid"
    38 INVALID_REPLICATION_FACTOR FATAL
        "the replication factor is below 1 or above the number of brokers"
    39 INVALID_REPLICA_ASSIGNMENT FATAL "the replica assignment is not valid"
    40 INVALID_CONFIG FATAL "the configuration is not valid"
    41 NOT_CONTROLLER RETRIABLE "this broker is not the controller"
    42 INVALID_REQUEST FATAL "the broker cannot make sense of the request; its log says more"
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT FATAL
        "the message format of the topic does not support the request"
    44 POLICY_VIOLATION FATAL "a policy of the cluster forbids the request"
    45 OUT_OF_ORDER_SEQUENCE_NUMBER FATAL
        "the sequence number does not follow the last one of this producer"
    46 DUPLICATE_SEQUENCE_NUMBER FATAL "a batch with this sequence number was written already"
    47 INVALID_PRODUCER_EPOCH FATAL
        "the producer's epoch is older than the one that the broker knows"
    48 INVALID_TXN_STATE FATAL "the transaction is not in a state that allows this"
    49 INVALID_PRODUCER_ID_MAPPING FATAL "the producer id does not belong to this transactional id"
    50 INVALID_TRANSACTION_TIMEOUT FATAL "the transaction timeout is above the broker's maximum"
    51 CONCURRENT_TRANSACTIONS RETRIABLE "another operation on this transaction is still under way"
    52 TRANSACTION_COORDINATOR_FENCED FATAL
        "the transaction coordinator that sent a marker has been replaced"
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED FATAL "this principal may not use the transactional id"
    54 SECURITY_DISABLED FATAL "the cluster runs without an authorizer"
    55 OPERATION_NOT_ATTEMPTED FATAL "not tried, because another part of the same request failed"
    56 KAFKA_STORAGE_ERROR RETRIABLE "a disk of the broker failed"
    57 LOG_DIR_NOT_FOUND FATAL "the broker has no such log directory"
    58 SASL_AUTHENTICATION_FAILED FATAL "the broker refused the credentials"
    59 UNKNOWN_PRODUCER_ID FATAL "the broker knows nothing of this producer in the partition"
    60 REASSIGNMENT_IN_PROGRESS FATAL "a reassignment of the partition is under way"
    61 DELEGATION_TOKEN_AUTH_DISABLED FATAL "delegation tokens are not enabled"
    62 DELEGATION_TOKEN_NOT_FOUND FATAL "the delegation token does not exist"
    63 DELEGATION_TOKEN_OWNER_MISMATCH FATAL
        "this principal neither owns the delegation token nor may renew it"
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED FATAL
        "delegation tokens cannot be requested over this kind of connection"
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED FATAL
        "this principal may not do this to the delegation token"
    66 DELEGATION_TOKEN_EXPIRED FATAL "the delegation token has expired"
    67 INVALID_PRINCIPAL_TYPE FATAL "this type of principal is not supported"
    68 NON_EMPTY_GROUP FATAL "the group still has members"
    69 GROUP_ID_NOT_FOUND FATAL "the group does not exist"
    70 FETCH_SESSION_ID_NOT_FOUND RETRIABLE "the broker does not know the fetch session"
    71 INVALID_FETCH_SESSION_EPOCH RETRIABLE "the fetch session is at another epoch"
    72 LISTENER_NOT_FOUND RETRIABLE
        "the partition's leader has no listener of the name that the client came in by"
    73 TOPIC_DELETION_DISABLED FATAL "the cluster does not allow topics to be deleted"
    74 FENCED_LEADER_EPOCH RETRIABLE "the leader epoch is older than the broker's"
    75 UNKNOWN_LEADER_EPOCH RETRIABLE "the leader epoch is newer than the broker's"
    76 UNSUPPORTED_COMPRESSION_TYPE FATAL
        "the partition's compression is one that the request's version cannot carry"
    77 STALE_BROKER_EPOCH FATAL "the broker has registered again since"
    78 OFFSET_NOT_AVAILABLE RETRIABLE "the new leader does not know the high watermark yet"
    79 MEMBER_ID_REQUIRED FATAL "the member has to join again with the id that it was given"
    80 PREFERRED_LEADER_NOT_AVAILABLE RETRIABLE "the preferred leader is not available"
    81 GROUP_MAX_SIZE_REACHED FATAL "the group is full"
    82 FENCED_INSTANCE_ID FATAL "another member has taken over this group instance id"
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE RETRIABLE "no replica is eligible to lead the partition"
    84 ELECTION_NOT_NEEDED RETRIABLE "the partition does not need an election"
    85 NO_REASSIGNMENT_IN_PROGRESS FATAL "no reassignment of the partition is under way"
    86 GROUP_SUBSCRIBED_TO_TOPIC FATAL "the group is subscribed to the topic"
    87 INVALID_RECORD FATAL "the broker refused a record of the batch"
    88 UNSTABLE_OFFSET_COMMIT RETRIABLE "offsets of an open transaction are pending"
    89 THROTTLING_QUOTA_EXCEEDED RETRIABLE "a quota on changes to the cluster is used up"
    90 PRODUCER_FENCED FATAL "a newer producer with the same transactional id exists"
    91 RESOURCE_NOT_FOUND FATAL "the resource does not exist"
    92 DUPLICATE_RESOURCE FATAL "the request names a resource twice"
    93 UNACCEPTABLE_CREDENTIAL FATAL "the credential is not acceptable"
    94 INCONSISTENT_VOTER_SET FATAL "the voters of the quorum do not agree on who is one"
    95 INVALID_UPDATE_VERSION FATAL "the version to update to is not valid"
    96 FEATURE_UPDATE_FAILED FATAL "the cluster could not update its features"
    97 PRINCIPAL_DESERIALIZATION_FAILURE FATAL "the brokers could not forward who made the request"
    98 SNAPSHOT_NOT_FOUND FATAL "the snapshot does not exist"
    99 POSITION_OUT_OF_RANGE FATAL "the position lies outside the snapshot"
    100 UNKNOWN_TOPIC_ID RETRIABLE "the broker does not know the topic id"
    101 DUPLICATE_BROKER_REGISTRATION FATAL "the broker id is in use"
    102 BROKER_ID_NOT_REGISTERED FATAL "the broker id is not registered"
    103 INCONSISTENT_TOPIC_ID RETRIABLE "the topic's id is another one; it has been created again"
    104 INCONSISTENT_CLUSTER_ID FATAL "the cluster's id is another one"
    105 TRANSACTIONAL_ID_NOT_FOUND FATAL "the transactional id is not known"
    106 FETCH_SESSION_TOPIC_ID_ERROR RETRIABLE "the fetch session mixes topics with and without ids"
    107 INELIGIBLE_REPLICA FATAL "a replica cannot be part of the in-sync replicas"
    108 NEW_LEADER_ELECTED FATAL "done, and the partition has another leader now"
    109 OFFSET_MOVED_TO_TIERED_STORAGE FATAL "the offset has moved to tiered storage"
    110 FENCED_MEMBER_EPOCH FATAL "the group fenced the member's epoch; it has to join again"
    111 UNRELEASED_INSTANCE_ID FATAL "another member still uses this group instance id"
    112 UNSUPPORTED_ASSIGNOR FATAL "the group does not offer this assignor"
    113 STALE_MEMBER_EPOCH FATAL "the member's epoch is older than the coordinator's"
    114 MISMATCHED_ENDPOINT_TYPE FATAL "the request went to the wrong kind of endpoint"
    115 UNSUPPORTED_ENDPOINT_TYPE FATAL "this kind of endpoint is not supported"
    116 UNKNOWN_CONTROLLER_ID FATAL "the controller id is not known"
    117 UNKNOWN_SUBSCRIPTION_ID FATAL "the telemetry subscription is not known, or no longer"
    118 TELEMETRY_TOO_LARGE FATAL "the telemetry is larger than the broker accepts"
    119 INVALID_REGISTRATION FATAL "the controller refused the broker's registration"
    120 TRANSACTION_ABORTABLE FATAL "the transaction failed, and has to be aborted"
    121 INVALID_RECORD_STATE FATAL "the delivery can no longer be acknowledged"
    122 SHARE_SESSION_NOT_FOUND RETRIABLE "the broker does not know the share session"
    123 INVALID_SHARE_SESSION_EPOCH RETRIABLE "the share session is at another epoch"
    124 FENCED_STATE_EPOCH FATAL "the share group's state is at another epoch"
    125 INVALID_VOTER_KEY FATAL "the key is not the one of the receiving voter"
    126 DUPLICATE_VOTER FATAL "the voter is part of the quorum already"
    127 VOTER_NOT_FOUND FATAL "the voter is not part of the quorum"
    128 INVALID_REGULAR_EXPRESSION FATAL "the regular expression is not valid"
    129 REBOOTSTRAP_REQUIRED FATAL "the client's metadata is out of date; it has to bootstrap again"
    130 STREAMS_INVALID_TOPOLOGY FATAL "the streams topology is not valid"
    131 STREAMS_INVALID_TOPOLOGY_EPOCH FATAL "the epoch of the streams topology is not valid"
    132 STREAMS_TOPOLOGY_FENCED FATAL "the epoch of the streams topology is out of date"
    133 SHARE_SESSION_LIMIT_REACHED RETRIABLE "the broker has no room for another share session"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_future_and_the_past_have_a_name_too() {
        for code in [i16::MIN, -2, 134, i16::MAX] {
            assert_eq!(ErrorCode(code).name(), "UNKNOWN");
            assert!(!ErrorCode(code).is_retriable());
        }
    }

    #[test]
    fn an_error_says_name_code_and_meaning() {
        assert_eq!(
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.to_string(),
            "UNKNOWN_TOPIC_OR_PARTITION (3): the broker does not know the topic or partition"
        );
        assert!(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.is_retriable());
        assert!(!ErrorCode::MESSAGE_TOO_LARGE.is_retriable());
    }
}

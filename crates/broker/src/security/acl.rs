//! What an access control list says: entries, and filters that find them. Codes and rules are
//! Kafka's (`AclBinding`, `AclBindingFilter`).

use serde::{Deserialize, Serialize};

/// Stands for every principal, host or resource name.
pub(crate) const WILDCARD: &str = "*";
/// Every principal.
pub(crate) const EVERYBODY: &str = "User:*";
/// The name of the one resource of type cluster.
pub(crate) const CLUSTER_NAME: &str = "kafka-cluster";

/// What something that stands for anything, or nothing we know, has as its code.
pub(crate) const ANY: i8 = 1;
/// The pattern type of filters that find what applies to a name.
const MATCH: i8 = 2;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// Kafka's number.
            pub(crate) fn code(self) -> i8 {
                match self { $(Self::$variant => $code,)* }
            }

            /// The one of this number.
            pub(crate) fn of_code(code: i8) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.code() == code)
            }
        }
    };
}

codes! {
    /// What is protected.
    ResourceType {
        Topic = 2,
        Group = 3,
        Cluster = 4,
        TransactionalId = 5,
        DelegationToken = 6,
        User = 7,
    }
}

codes! {
    /// How the name of an entry is meant.
    PatternType {
        Literal = 3,
        Prefixed = 4,
    }
}

codes! {
    /// What is done.
    Operation {
        All = 2,
        Read = 3,
        Write = 4,
        Create = 5,
        Delete = 6,
        Alter = 7,
        Describe = 8,
        ClusterAction = 9,
        DescribeConfigs = 10,
        AlterConfigs = 11,
        IdempotentWrite = 12,
        CreateTokens = 13,
        DescribeTokens = 14,
        TwoPhaseCommit = 15,
    }
}

codes! {
    /// Whether it may be done.
    Permission {
        Deny = 2,
        Allow = 3,
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Acl {
    pub(crate) resource: ResourceType,
    pub(crate) name: String,
    pub(crate) pattern: PatternType,
    /// `User:NAME`, or `User:*`.
    pub(crate) principal: String,
    /// An address, or `*`.
    pub(crate) host: String,
    pub(crate) operation: Operation,
    pub(crate) permission: Permission,
}

/// What entries are looked for; codes as in requests.
#[derive(Clone, Debug)]
pub(crate) struct AclFilter {
    pub(crate) resource: i8,
    pub(crate) name: Option<String>,
    pub(crate) pattern: i8,
    pub(crate) principal: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

impl Acl {
    /// Whether it is about a resource of this name.
    pub(crate) fn is_about(&self, resource: ResourceType, name: &str) -> bool {
        self.resource == resource
            && match self.pattern {
                PatternType::Literal => self.name == name || self.name == WILDCARD,
                PatternType::Prefixed => name.starts_with(&self.name),
            }
    }

    /// Whether it is about this principal, coming from this host.
    pub(crate) fn is_for(&self, principal: &str, host: &str) -> bool {
        (self.principal == principal || self.principal == EVERYBODY)
            && (self.host == host || self.host == WILDCARD)
    }

    /// Whether it is about an operation: permissions imply that one may look, too.
    pub(crate) fn covers(&self, operation: Operation) -> bool {
        use Operation::{All, Alter, AlterConfigs, Delete, Describe, DescribeConfigs, Read, Write};
        let implied: &[Operation] = match (self.permission, operation) {
            (Permission::Allow, Describe) => &[Read, Write, Delete, Alter],
            (Permission::Allow, DescribeConfigs) => &[AlterConfigs],
            _ => &[],
        };
        [All, operation].contains(&self.operation) || implied.contains(&self.operation)
    }
}

impl AclFilter {
    /// Whether every code in it means something.
    pub(crate) fn is_known(&self) -> bool {
        let is_any = |code| code == ANY;
        (is_any(self.resource) || ResourceType::of_code(self.resource).is_some())
            && ([ANY, MATCH].contains(&self.pattern)
                || PatternType::of_code(self.pattern).is_some())
            && (is_any(self.operation) || Operation::of_code(self.operation).is_some())
            && (is_any(self.permission) || Permission::of_code(self.permission).is_some())
    }

    /// Whether it finds an entry.
    pub(crate) fn finds(&self, acl: &Acl) -> bool {
        let code = |wanted: i8, code: i8| wanted == ANY || wanted == code;
        let text = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == text)
        };
        code(self.resource, acl.resource.code())
            && code(self.operation, acl.operation.code())
            && code(self.permission, acl.permission.code())
            && text(&self.principal, &acl.principal)
            && text(&self.host, &acl.host)
            && match (self.pattern, &self.name) {
                (MATCH, Some(name)) => acl.is_about(acl.resource, name),
                (MATCH, None) => true,
                (pattern, name) => code(pattern, acl.pattern.code()) && text(name, &acl.name),
            }
    }
}

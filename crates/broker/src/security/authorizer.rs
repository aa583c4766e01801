//! Who may do what: the rules of Kafka's `StandardAuthorizer`. Pure.
//!
//! Super users may do everything. Whom any entry denies may not. Whom some entry allows may. Where
//! no entry is about a resource, nobody may, or everybody if the operator says so; where some are,
//! who is not in them may not.

use std::collections::BTreeSet;

use super::Principal;
use super::acl::{Acl, Operation, PatternType, Permission, ResourceType, WILDCARD};

/// What an operator says of authorization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizerOptions {
    /// Principals who may do everything, as `User:NAME` (`super.users`).
    pub super_users: BTreeSet<String>,
    /// Everybody may do what no entry is about (`allow.everyone.if.no.acl.found`).
    pub allow_without_acl: bool,
}

/// All entries, in order.
pub(crate) type Acls = BTreeSet<Acl>;

/// Who asks, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) principal: &'a Principal,
    /// The address alone.
    pub(crate) host: &'a str,
}

impl AuthorizerOptions {
    fn is_super(&self, asker: Asker<'_>) -> bool {
        self.super_users.contains(asker.principal.text())
    }

    /// Whether somebody may do something to a resource.
    pub(crate) fn allows(
        &self,
        acls: &Acls,
        asker: Asker<'_>,
        operation: Operation,
        resource: ResourceType,
        name: &str,
    ) -> bool {
        if self.is_super(asker) {
            return true;
        }
        let (mut is_listed, mut is_allowed) = (false, false);
        for acl in acls.iter().filter(|acl| acl.is_about(resource, name)) {
            is_listed = true;
            if !acl.is_for(asker.principal.text(), asker.host) || !acl.covers(operation) {
                continue;
            }
            match acl.permission {
                Permission::Deny => return false,
                Permission::Allow => is_allowed = true,
            }
        }
        is_allowed || (!is_listed && self.allow_without_acl)
    }

    /// Whether somebody may do something to some resource of a type, whatever its name: there is
    /// an entry that allows it, and none that denies all of what that one is about.
    pub(crate) fn allows_some(
        &self,
        acls: &Acls,
        asker: Asker<'_>,
        operation: Operation,
        resource: ResourceType,
    ) -> bool {
        // A name that no entry but the wildcard is likely to be about, as Kafka asks for.
        if self.allows(acls, asker, operation, resource, "hardcode") {
            return true;
        }
        let theirs: Vec<&Acl> = acls
            .iter()
            .filter(|acl| acl.resource == resource)
            .filter(|acl| acl.is_for(asker.principal.text(), asker.host))
            .filter(|acl| [Operation::All, operation].contains(&acl.operation))
            .collect();
        let denied = |pattern, name: &str| {
            theirs.iter().filter(|acl| acl.permission == Permission::Deny).any(|deny| {
                match deny.pattern {
                    PatternType::Prefixed => name.starts_with(&deny.name),
                    PatternType::Literal => {
                        deny.name == WILDCARD
                            || (pattern == PatternType::Literal && deny.name == name)
                    }
                }
            })
        };
        let mut allowing = theirs.iter().filter(|acl| acl.permission == Permission::Allow);
        allowing.any(|allow| !denied(allow.pattern, &allow.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::acl::EVERYBODY;

    fn acl(permission: Permission, operation: Operation, name: &str, principal: &str) -> Acl {
        let (name, pattern) = match name.strip_suffix('…') {
            Some(prefix) => (prefix, PatternType::Prefixed),
            None => (name, PatternType::Literal),
        };
        Acl {
            resource: ResourceType::Topic,
            name: name.to_owned(),
            pattern,
            principal: principal.to_owned(),
            host: WILDCARD.to_owned(),
            operation,
            permission,
        }
    }

    fn may(acls: &[Acl], operation: Operation, name: &str) -> bool {
        let alice = Principal::user("alice");
        let asker = Asker { principal: &alice, host: "10.0.0.1" };
        let acls = acls.iter().cloned().collect();
        let options = AuthorizerOptions::default();
        options.allows(&acls, asker, operation, ResourceType::Topic, name)
    }

    const ALICE: &str = "User:alice";

    #[test]
    fn entries_allow_by_name_prefix_and_wildcard() {
        use Operation::{Describe, Read, Write};
        let allow = |name| [acl(Permission::Allow, Read, name, ALICE)];
        assert!(may(&allow("t"), Read, "t") && !may(&allow("t"), Read, "tt"));
        assert!(may(&allow("t…"), Read, "tt") && !may(&allow("t…"), Read, "s"));
        assert!(may(&allow("*"), Read, "anything") && !may(&allow("*"), Write, "anything"));
        assert!(may(&allow("t"), Describe, "t"));
        assert!(may(&[acl(Permission::Allow, Read, "t", EVERYBODY)], Read, "t"));
        assert!(!may(&[acl(Permission::Allow, Read, "t", "User:bob")], Read, "t"));
    }

    #[test]
    fn who_is_denied_may_not() {
        use Operation::{All, Describe, Read, Write};
        let acls = [
            acl(Permission::Allow, All, "*", ALICE),
            acl(Permission::Deny, Read, "secret…", EVERYBODY),
        ];
        assert!(may(&acls, Read, "open") && !may(&acls, Read, "secret-1"));
        // Denying implies nothing.
        assert!(may(&acls, Describe, "secret-1") && may(&acls, Write, "secret-1"));
        let mut elsewhere = acls.clone();
        elsewhere[1].host = "10.0.0.2".to_owned();
        assert!(may(&elsewhere, Read, "secret-1"));
    }

    #[test]
    fn configs_are_described_by_who_alters_them() {
        let alters = [acl(Permission::Allow, Operation::AlterConfigs, "t", ALICE)];
        assert!(may(&alters, Operation::DescribeConfigs, "t"));
        assert!(!may(&alters, Operation::Describe, "t"));
    }

    #[test]
    fn super_users_and_unlisted_resources() {
        let acls: Acls = [acl(Permission::Deny, Operation::All, "t", EVERYBODY)].into();
        let (root, alice) = (Principal::user("root"), Principal::user("alice"));
        let options = AuthorizerOptions {
            super_users: ["User:root".to_owned()].into(),
            allow_without_acl: true,
        };
        let may = |principal, name| {
            let asker = Asker { principal, host: "h" };
            options.allows(&acls, asker, Operation::Read, ResourceType::Topic, name)
        };
        assert!(may(&root, "t") && !may(&alice, "t") && may(&alice, "u"));
    }

    #[test]
    fn some_resource_is_enough_unless_all_of_it_is_denied() {
        use Permission::{Allow, Deny};
        let some = |entries: &[(Permission, &str)]| {
            let acls: Acls = entries
                .iter()
                .map(|(permission, name)| acl(*permission, Operation::Write, name, ALICE))
                .collect();
            let alice = Principal::user("alice");
            let asker = Asker { principal: &alice, host: "h" };
            let topic = ResourceType::Topic;
            AuthorizerOptions::default().allows_some(&acls, asker, Operation::Write, topic)
        };
        assert!(some(&[(Allow, "t")]) && some(&[(Allow, "*")]) && !some(&[]));
        assert!(!some(&[(Allow, "t"), (Deny, "t")]) && !some(&[(Allow, "*"), (Deny, "*")]));
        assert!(!some(&[(Allow, "team-1…"), (Deny, "team…")]));
        assert!(some(&[(Allow, "team…"), (Deny, "team-1…")]));
        assert!(some(&[(Allow, "t…"), (Deny, "t")]));
    }
}

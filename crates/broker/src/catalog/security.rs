//! What the catalog keeps for security: SCRAM credentials, access control lists and
//! quotas.

use std::collections::BTreeMap;
use std::sync::Arc;

use farlog_wire::ErrorCode;

use super::{Catalog, Record, Refusal};
use crate::limits::{ACLS_MAX, QUOTA_ENTITIES_MAX};
use crate::security::Acls;
use crate::security::acl::{Acl, AclFilter};
use crate::security::quota::{Entity, Quotas};
use crate::security::scram::{ScramCredential, ScramHash};

/// The credentials of one user.
pub(crate) type ScramCredentials = BTreeMap<ScramHash, ScramCredential>;

/// What is known at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct SecurityState {
    scram: BTreeMap<String, ScramCredentials>,
    acls: Arc<Acls>,
    quotas: Arc<Quotas>,
}

/// A credential to be set, or with `None` removed.
#[derive(Clone, Debug)]
pub(crate) struct ScramChange {
    pub(crate) user: String,
    pub(crate) hash: ScramHash,
    pub(crate) credential: Option<ScramCredential>,
}

impl SecurityState {
    /// Takes a change of these matters; others are given back.
    pub(super) fn take(&mut self, record: Record) -> Option<Record> {
        match record {
            Record::ScramSet { user, mechanism, credential } => {
                self.scram.entry(user).or_default().insert(mechanism, credential);
            }
            Record::ScramRemoved { user, mechanism } => {
                if let Some(credentials) = self.scram.get_mut(&user) {
                    credentials.remove(&mechanism);
                    if credentials.is_empty() {
                        self.scram.remove(&user);
                    }
                }
            }
            Record::AclsAdded { acls } => Arc::make_mut(&mut self.acls).extend(acls),
            Record::AclsRemoved { acls } => {
                let known = Arc::make_mut(&mut self.acls);
                for acl in &acls {
                    known.remove(acl);
                }
            }
            Record::QuotasSet { entity, quotas } => {
                let known = Arc::make_mut(&mut self.quotas);
                let entity = Entity::from_iter(entity);
                match quotas.is_empty() {
                    true => known.remove(&entity),
                    false => known.insert(entity, quotas),
                };
            }
            other => return Some(other),
        }
        None
    }
}

impl Catalog {
    /// A user's credential, if one was set.
    pub(crate) fn scram_credential(&self, user: &str, hash: ScramHash) -> Option<ScramCredential> {
        self.read().security.scram.get(user)?.get(&hash).cloned()
    }

    /// All users with credentials.
    pub(crate) fn scram_users(&self) -> BTreeMap<String, ScramCredentials> {
        self.read().security.scram.clone()
    }

    /// All quotas.
    pub(crate) fn quotas(&self) -> Arc<Quotas> {
        Arc::clone(&self.read().security.quotas)
    }

    /// Sets quotas of an entity, or with `None` removes them.
    pub(crate) async fn alter_quotas(
        &self,
        entity: Entity,
        changes: BTreeMap<String, Option<f64>>,
    ) -> Result<(), Refusal> {
        let mut next_offset = self.writing.lock().await;
        let known = self.quotas();
        if known.len() >= QUOTA_ENTITIES_MAX && !known.contains_key(&entity) {
            let message = format!("There can be quotas of {QUOTA_ENTITIES_MAX} entities.");
            return Err(Refusal::new(ErrorCode::POLICY_VIOLATION, message));
        }
        let mut quotas = known.get(&entity).cloned().unwrap_or_default();
        for (key, value) in changes {
            match value {
                Some(value) => drop(quotas.insert(key, value)),
                None => drop(quotas.remove(&key)),
            }
        }
        if known.get(&entity).map_or(quotas.is_empty(), |known| *known == quotas) {
            return Ok(());
        }
        let entity = entity.into_iter().collect();
        self.change_security(&mut next_offset, vec![Record::QuotasSet { entity, quotas }]).await
    }

    /// All access control entries.
    pub(crate) fn acls(&self) -> Arc<Acls> {
        Arc::clone(&self.read().security.acls)
    }

    /// Adds entries; those that are there already stay.
    pub(crate) async fn add_acls(&self, mut acls: Vec<Acl>) -> Result<(), Refusal> {
        let mut next_offset = self.writing.lock().await;
        let known = self.acls();
        acls.retain(|acl| !known.contains(acl));
        if acls.is_empty() {
            return Ok(());
        }
        if known.len() + acls.len() > ACLS_MAX {
            let message = format!("There can be {ACLS_MAX} access control entries.");
            return Err(Refusal::new(ErrorCode::POLICY_VIOLATION, message));
        }
        self.change_security(&mut next_offset, vec![Record::AclsAdded { acls }]).await
    }

    /// Removes what any filter finds; for each filter, what it found first.
    pub(crate) async fn remove_acls(
        &self,
        filters: Vec<AclFilter>,
    ) -> Result<Vec<Vec<Acl>>, Refusal> {
        let mut next_offset = self.writing.lock().await;
        let mut left = Acls::clone(&self.acls());
        let removed: Vec<Vec<Acl>> = filters
            .iter()
            .map(|filter| left.extract_if(.., |acl| filter.finds(acl)).collect())
            .collect();
        let acls: Vec<Acl> = removed.iter().flatten().cloned().collect();
        if !acls.is_empty() {
            self.change_security(&mut next_offset, vec![Record::AclsRemoved { acls }]).await?;
        }
        Ok(removed)
    }

    /// Makes changes of credentials; adds to `refused` the users for whom it could not.
    pub(crate) async fn alter_scram(
        &self,
        mut changes: Vec<ScramChange>,
        refused: &mut BTreeMap<String, Refusal>,
    ) {
        let mut next_offset = self.writing.lock().await;
        let known = self.scram_users();
        for change in changes.iter().filter(|change| change.credential.is_none()) {
            let present = known.get(&change.user);
            if present.is_none_or(|present| !present.contains_key(&change.hash)) {
                let message = "Attempt to delete a user credential that does not exist";
                let refusal = Refusal::new(ErrorCode::RESOURCE_NOT_FOUND, message);
                refused.insert(change.user.clone(), refusal);
            }
        }
        changes.retain(|change| !refused.contains_key(&change.user));
        let users: Vec<String> = changes.iter().map(|change| change.user.clone()).collect();
        let records = changes.into_iter().map(|change| {
            let ScramChange { user, hash: mechanism, credential } = change;
            match credential {
                Some(credential) => Record::ScramSet { user, mechanism, credential },
                None => Record::ScramRemoved { user, mechanism },
            }
        });
        let written = self.change_security(&mut next_offset, records.collect()).await;
        if let Err(refusal) = written {
            refused.extend(users.into_iter().map(|user| (user, refusal.clone())));
        }
    }

    /// Writes changes of security and makes them known.
    async fn change_security(
        &self,
        next_offset: &mut i64,
        records: Vec<Record>,
    ) -> Result<(), Refusal> {
        if records.is_empty() {
            return Ok(());
        }
        let written = self.append_locked(next_offset, &records).await;
        written.map_err(|error| Refusal::storage(&error))?;
        let mut known = self.write();
        for record in records {
            known.security.take(record);
        }
        Ok(())
    }
}

//! What the catalog keeps for security: SCRAM credentials.

use std::collections::BTreeMap;

use farlog_wire::ErrorCode;

use super::{Catalog, Record, Refusal};
use crate::security::scram::{ScramCredential, ScramHash};

/// The credentials of one user.
pub(crate) type ScramCredentials = BTreeMap<ScramHash, ScramCredential>;

/// What is known at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct SecurityState {
    scram: BTreeMap<String, ScramCredentials>,
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

//! Users from a file: one `name=password` a line.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::constant_time;

/// Names and passwords. Its `Debug` shows the names only.
#[derive(Clone, Default)]
pub struct Users(Arc<BTreeMap<String, String>>);

/// A file of users that cannot be read. Never says what is in the line: it may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsersError {
    /// A line of another form.
    #[error("line {line} is not NAME=PASSWORD")]
    Form {
        /// Counted from 1.
        line: usize,
    },
    /// A name that was there before.
    #[error("line {line} gives user {name} a second password")]
    Twice {
        /// Counted from 1.
        line: usize,
        /// The user.
        name: String,
    },
}

impl Users {
    /// Reads the text of a file; empty lines and lines that begin with `#` are left out.
    ///
    /// # Errors
    /// If a line is not `NAME=PASSWORD`, or a name is there twice.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let mut users = BTreeMap::new();
        for (index, text) in text.lines().enumerate() {
            let (line, text) = (index + 1, text.trim());
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (name, password) = text.split_once('=').ok_or(UsersError::Form { line })?;
            let (name, password) = (name.trim().to_owned(), password.trim().to_owned());
            if name.is_empty() || password.is_empty() {
                return Err(UsersError::Form { line });
            }
            if users.insert(name.clone(), password).is_some() {
                return Err(UsersError::Twice { line, name });
            }
        }
        Ok(Self(Arc::new(users)))
    }

    /// A user's password.
    pub(crate) fn password(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether this is the user's password; takes as long for a wrong one of the same length.
    pub(crate) fn check(&self, name: &str, password: &str) -> bool {
        self.password(name).is_some_and(|known| {
            let same =
                constant_time::verify_slices_are_equal(known.as_bytes(), password.as_bytes());
            same.is_ok()
        })
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_its_secrets_are_kept() {
        let users = Users::parse("# admins\n\nalice=in=wonder\n bob = builder \n").unwrap();
        assert!(users.check("alice", "in=wonder") && users.check("bob", "builder"));
        assert!(!users.check("alice", "builder") && !users.check("carol", ""));
        assert_eq!(format!("{users:?}"), r#"{"alice", "bob"}"#);
        let form = Users::parse("alice=a\nsecret\n").unwrap_err();
        assert_eq!(form.to_string(), "line 2 is not NAME=PASSWORD");
        assert!(Users::parse("a=b\na=c").unwrap_err().to_string().contains("a second password"));
    }
}

//! What an operator may set, under the names that Kafka's brokers have for it.

/// A setting that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No such setting here.
    #[error("{name} is not a setting of the embedded broker; it knows {known}")]
    Unknown {
        /// The name.
        name: String,
        /// All names, separated by commas.
        known: String,
    },
    /// Not a value that it can have.
    #[error("{name} must be a whole number from {min} to {max}, not {value}")]
    Value {
        /// The name.
        name: String,
        /// The value.
        value: String,
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
}

macro_rules! settings {
    ($(
        $(#[$doc:meta])*
        $field:ident = $name:literal, $default:literal, $min:literal..=$max:expr;
    )*) => {
        /// The settings of a broker.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct BrokerSettings {
            $($(#[$doc])* pub $field: i64,)*
        }

        impl Default for BrokerSettings {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl BrokerSettings {
            /// Every name, with the value that is set.
            pub fn entries(&self) -> Vec<(&'static str, i64)> {
                vec![$(($name, self.$field)),*]
            }

            /// Sets one.
            ///
            /// # Errors
            /// If there is none of this name, or if it cannot have this value.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
                let (field, min, max): (&mut i64, i64, i64) = match name {
                    $($name => (&mut self.$field, $min, $max),)*
                    _ => {
                        let names = [$($name),*];
                        let (name, known) = (name.to_owned(), names.join(", "));
                        return Err(SettingError::Unknown { name, known });
                    }
                };
                let number = match value {
                    "false" if (min, max) == (0, 1) => Ok(0),
                    "true" if (min, max) == (0, 1) => Ok(1),
                    value => value.parse(),
                };
                match number {
                    Ok(number) if (min..=max).contains(&number) => *field = number,
                    _ => {
                        let (name, value) = (name.to_owned(), value.to_owned());
                        return Err(SettingError::Value { name, value, min, max });
                    }
                }
                Ok(())
            }
        }
    };
}

settings! {
    /// After how long a connection that authenticated with SASL must do so again, in milliseconds;
    /// 0 for never.
    connections_max_reauth_ms = "connections.max.reauth.ms", 0, 0..=i64::MAX;
    /// How often members of consumer groups (KIP-848) are to say that they are alive, in
    /// milliseconds.
    group_consumer_heartbeat_interval_ms =
        "group.consumer.heartbeat.interval.ms", 5_000, 1..=600_000;
    /// After how long a silent member of a consumer group is put out, in milliseconds.
    group_consumer_session_timeout_ms =
        "group.consumer.session.timeout.ms", 45_000, 1..=i64::MAX / 2;
    /// How long the first members of a group are waited for, in milliseconds. Not at all unless it
    /// is set: Kafka's 3 s save a large group some rebalances while it starts, and here they would
    /// be all that a test or a demo waits for.
    group_initial_rebalance_delay_ms = "group.initial.rebalance.delay.ms", 0, 0..=i64::MAX;
    /// Longest session timeout that a member of a group may ask for, in milliseconds.
    group_max_session_timeout_ms = "group.max.session.timeout.ms", 1_800_000, 1..=i64::MAX;
    /// Members of one group.
    group_max_size = "group.max.size", 10_000, 1..=1_000_000;
    /// Shortest session timeout that a member of a group may ask for, in milliseconds.
    group_min_session_timeout_ms = "group.min.session.timeout.ms", 6_000, 1..=i64::MAX;
    /// Between two looks for logs to compact, when there was nothing to do, in milliseconds.
    log_cleaner_backoff_ms = "log.cleaner.backoff.ms", 15_000, 0..=i64::MAX;
    /// Memory for the keys of the log that is compacted, in bytes: 72 are needed for each. A log
    /// with more keys is compacted in several rounds.
    log_cleaner_dedupe_buffer_bytes =
        "log.cleaner.dedupe.buffer.size", 134_217_728, 1_048_576..=i64::MAX;
    /// Whether logs are compacted: 1, or 0 (`true` and `false` are taken, too).
    log_cleaner_enable = "log.cleaner.enable", 1, 0..=1;
    /// Between two looks at what retention may delete, in milliseconds.
    log_retention_check_interval_ms =
        "log.retention.check.interval.ms", 300_000, 1..=i64::MAX;
    /// How long the offsets of a group without members are kept, in minutes.
    offsets_retention_minutes = "offsets.retention.minutes", 10_080, 1..=i64::MAX;
    /// Between two looks for producers to forget, in milliseconds.
    producer_id_expiration_check_interval_ms =
        "producer.id.expiration.check.interval.ms", 600_000, 1..=i64::MAX;
    /// How long a producer that appends nothing is remembered, in milliseconds, counted from its
    /// last append.
    producer_id_expiration_ms = "producer.id.expiration.ms", 86_400_000, 1..=i64::MAX;
    /// Bytes that the requests of all connections may have together; who finds no room waits. -1
    /// for any number, as Kafka has it unless it is told otherwise.
    queued_max_request_bytes = "queued.max.request.bytes", 268_435_456, -1..=i64::MAX;
    /// How far the clocks of those who issue tokens (OAUTHBEARER) may be from ours, in seconds.
    sasl_oauthbearer_clock_skew_seconds =
        "sasl.oauthbearer.clock.skew.seconds", 30, 0..=86_400;
    /// Between two looks for transactions that are past their timeout, in milliseconds.
    transaction_abort_timed_out_interval_ms =
        "transaction.abort.timed.out.transaction.cleanup.interval.ms", 10_000, 1..=i64::MAX;
    /// Longest timeout that a transactional producer may ask for, in milliseconds.
    transaction_max_timeout_ms = "transaction.max.timeout.ms", 900_000, 1..=i64::MAX;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_checked() {
        let mut settings = BrokerSettings::default();
        settings.set("producer.id.expiration.ms", "1000").expect("a setting");
        assert_eq!(settings.producer_id_expiration_ms, 1_000);
        assert!(matches!(settings.set("no.such", "1"), Err(SettingError::Unknown { .. })));
        let refused = settings.set("producer.id.expiration.ms", "0").unwrap_err().to_string();
        assert!(refused.contains("from 1 to"), "{refused}");
        assert!(settings.entries().contains(&("producer.id.expiration.ms", 1_000)));
        assert!(settings.entries().is_sorted_by_key(|&(name, _)| name));
    }
}

//! What to do while it runs.

use std::fmt;
use std::path::Path;

use super::billing::GROUP;

/// Where everything is.
pub(super) struct Guide<'a> {
    pub(super) settings: &'a Path,
    pub(super) farlog: &'a Path,
    pub(super) source: String,
    pub(super) target: String,
    pub(super) metrics: String,
}

impl fmt::Display for Guide<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Guide { settings, farlog, source, target, metrics } = self;
        let (settings, farlog) = (settings.display(), farlog.display());
        writeln!(
            out,
            "\nTwo clusters in this process: us-east at {source}, eu-west at {target}.\n\
             Farlog mirrors orders, payments and shop.* from one to the other; the consumer group\n\
             {GROUP} reads them at us-east meanwhile."
        )?;
        writeln!(out, "Try in another terminal, while the load goes on:")?;
        writeln!(out, "  the settings         cat {settings}")?;
        writeln!(out, "  the plan             {farlog} plan {settings}")?;
        writeln!(out, "  states of the link   {farlog} status {settings}")?;
        writeln!(out, "  replication lag      {farlog} lag {settings}")?;
        writeln!(
            out,
            "  the group's offsets  kafka-consumer-groups.sh --bootstrap-server {source} \
             --describe --group {GROUP}"
        )?;
        writeln!(
            out,
            "  where they follow to kafka-consumer-groups.sh --bootstrap-server {target} \
             --describe --group {GROUP}"
        )?;
        writeln!(out, "  its metrics          curl http://{metrics}/metrics")?;
        writeln!(out, "  read the mirror      kcat -b {target} -C -t orders -o -5")?;
        writeln!(out, "  add to the source    echo hello | kcat -b {source} -P -t shop.hello")?;
        writeln!(out, "Ctrl-C ends everything; the records are kept in memory only.\n")
    }
}

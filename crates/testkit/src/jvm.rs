//! How Java programs are started.

use std::io;
use std::path::Path;

use crate::jars::KafkaVersion;

/// What a JVM is tuned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JvmMode {
    /// A cheap start: the first-tier compiler only, the serial collector, few threads. A broker is
    /// up in about two seconds and two CPU-seconds.
    Test,
    /// Throughput: what Kafka's own start scripts pass, and Kafka's own numbers of threads.
    Bench,
}

/// A JVM that runs one of Kafka's programs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jvm {
    pub(crate) version: KafkaVersion,
    pub(crate) mode: JvmMode,
    pub(crate) heap_mb: u32,
}

impl Jvm {
    /// The arguments up to the main class; writes the logging settings they name to `directory`.
    pub(crate) fn arguments(self, directory: &Path) -> io::Result<Vec<String>> {
        let mut arguments = vec![format!("-Xmx{}m", self.heap_mb)];
        match self.mode {
            JvmMode::Test => arguments.extend(
                ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"].map(str::to_owned),
            ),
            JvmMode::Bench => arguments.extend(
                [
                    &format!("-Xms{}m", self.heap_mb),
                    "-server",
                    "-XX:+UseG1GC",
                    "-XX:MaxGCPauseMillis=20",
                    "-XX:InitiatingHeapOccupancyPercent=35",
                    "-XX:+ExplicitGCInvokesConcurrent",
                ]
                .map(str::to_owned),
            ),
        }
        let logging = directory.join("logging.properties");
        std::fs::write(&logging, logging_properties(self.version))?;
        arguments.push(if self.version.has_log4j2() {
            format!("-Dlog4j2.configurationFile={}", logging.display())
        } else {
            format!("-Dlog4j.configuration=file:{}", logging.display())
        });
        Ok(arguments)
    }
}

/// Everything is logged to standard error (standard output is for what tools print): by log4j 2
/// since Kafka 4, by log4j 1 (reload4j) before.
fn logging_properties(version: KafkaVersion) -> &'static str {
    match version.has_log4j2() {
        false => {
            "log4j.rootLogger=INFO, OUT\n\
             log4j.appender.OUT=org.apache.log4j.ConsoleAppender\n\
             log4j.appender.OUT.target=System.err\n\
             log4j.appender.OUT.layout=org.apache.log4j.PatternLayout\n\
             log4j.appender.OUT.layout.ConversionPattern=%d %p %m (%c)%n\n"
        }
        true => {
            "status=error\n\
             appender.out.type=Console\n\
             appender.out.name=OUT\n\
             appender.out.target=SYSTEM_ERR\n\
             appender.out.layout.type=PatternLayout\n\
             appender.out.layout.pattern=%d %p %m (%c)%n\n\
             rootLogger.level=info\n\
             rootLogger.appenderRef.out.ref=OUT\n"
        }
    }
}

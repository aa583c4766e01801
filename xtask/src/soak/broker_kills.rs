//! Kills of `farlog broker` itself, a hundred to a round, each round with another seed.

use std::path::Path;

use farlog_testkit::broker_kills::{BrokerKills, run};

use super::Arguments;
use crate::command::Failure;

/// Kills of one round, as many as every push has.
const ROUND_KILLS_MAX: u32 = 100;

/// A line for each round; fails at the first finding.
pub(super) async fn run_all(program: &Path, arguments: &Arguments) -> Result<String, Failure> {
    let mut text = String::new();
    let (mut left, mut seed) = (arguments.broker_kills, arguments.seed);
    while left > 0 {
        let kills = left.min(ROUND_KILLS_MAX);
        left -= kills;
        let program = program.to_owned();
        let options = BrokerKills { program, kills, seed, plant_a_loss: false };
        // A task of its own may block in place, which starting a process does.
        let round = tokio::spawn(async move { run(&options).await });
        let round = round.await.map_err(Failure::while_doing("a round of broker kills"))?;
        let summary = round.map_err(Failure::while_doing(format!("broker, seed {seed}")))?;
        println!("{summary}");
        text += &format!("{summary}\n");
        if !summary.verdict.findings.is_empty() {
            return Err(Failure::new(format!("{summary}:\n{}", summary.verdict)));
        }
        seed += 1;
    }
    Ok(text)
}

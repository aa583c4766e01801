//! The operations page names everything that can happen.

use farlog::exit::Exit;
use farlog::metrics;
use farlog::render::view::{LINK_STATES, link_state_name};
use farlog_link::status::PartitionState;

const PAGE: &str = include_str!("../../../../docs/operations.md");

#[test]
fn every_metric_state_and_exit_code_is_on_the_page() {
    let mut wanted: Vec<String> = metrics::names();
    wanted.extend(PartitionState::ALL.map(|state| state.name().to_owned()));
    wanted.extend(LINK_STATES.map(|state| link_state_name(state).to_owned()));
    wanted.push("not-running".to_owned());
    let missing: Vec<String> =
        wanted.into_iter().filter(|name| !PAGE.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/operations.md does not mention {missing:?}");
    for exit in Exit::ALL {
        let row = format!("| {} | {}", exit.code(), exit.meaning());
        assert!(PAGE.contains(&row), "docs/operations.md has no row `{row}`");
    }
}

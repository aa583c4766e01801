//! How links are kept running and how the process ends, with links that are made up.

use std::sync::atomic::{AtomicUsize, Ordering};

use farlog_link::status::LinkState;

use super::*;
use crate::app::statuses::samples;

const DEADLINE: Duration = Duration::from_secs(30);

fn task<F, R>(name: &str, start: F) -> LinkTask
where
    F: Fn(watch::Receiver<bool>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), LinkFailure>> + Send + 'static,
{
    LinkTask {
        name: name.to_owned(),
        status: Arc::new(|| samples::link("any", LinkState::Active)),
        start: Arc::new(move |stop| Box::pin(start(stop))),
    }
}

/// Runs well, and takes `drain` to end.
fn good(name: &str, drain: Duration) -> LinkTask {
    task(name, move |mut stop| async move {
        stop.wait_for(|stop| *stop).await.unwrap();
        sleep(drain).await;
        Ok(())
    })
}

fn refused(name: &str) -> LinkFailure {
    let source = Box::new(ConnectError::NoServers);
    LinkFailure::Connect { link: name.to_owned(), alias: "us-east".to_owned(), source }
}

fn bad(name: &'static str) -> LinkTask {
    task(name, move |_| async move { Err(refused(name)) })
}

async fn run(tasks: Vec<LinkTask>, signals_after: &[Duration]) -> (Exit, Duration) {
    let (sender, receiver) = mpsc::channel(2);
    let signals_after = signals_after.to_vec();
    tokio::spawn(async move {
        for pause in signals_after {
            sleep(pause).await;
            sender.send(StopSignal::Terminate).await.unwrap();
        }
        // The sender lives as long as the process does.
        std::future::pending::<()>().await;
    });
    let begun = Instant::now();
    (Supervisor::new(tasks, DEADLINE).run(receiver).await, begun.elapsed())
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn a_signal_drains_every_link() {
    let tasks = vec![good("a", Duration::from_secs(2)), good("b", Duration::from_secs(5))];
    let (exit, took) = run(tasks, &[HOUR]).await;
    assert_eq!((exit, took), (Exit::Done, HOUR + Duration::from_secs(5)));
}

#[tokio::test(start_paused = true)]
async fn a_drain_has_a_deadline() {
    let (exit, took) = run(vec![good("a", HOUR)], &[HOUR]).await;
    assert_eq!((exit, took), (Exit::DrainDeadline, HOUR + DEADLINE));
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_at_once() {
    let second = Duration::from_secs(3);
    let (exit, took) = run(vec![good("a", HOUR)], &[HOUR, second]).await;
    assert_eq!((exit, took), (Exit::Terminated, HOUR + second));
}

#[tokio::test(start_paused = true)]
async fn who_is_fenced_while_he_starts_tries_again() {
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = starts.clone();
    let fenced = task("a", move |mut stop| {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            if first {
                return Err(LinkFailure::Link { link: "a".to_owned(), source: fenced() });
            }
            stop.wait_for(|stop| *stop).await.unwrap();
            Ok(())
        }
    });
    let (exit, _) = run(vec![fenced], &[HOUR]).await;
    assert_eq!((exit, starts.load(Ordering::Relaxed)), (Exit::Done, 2));
}

/// What a member hears whose place somebody of the same name took.
fn fenced() -> LinkError {
    let source = GroupError::Refused(farlog_client::BrokerError {
        broker: farlog_client::BrokerName {
            id: Some(1),
            address: farlog_client::ServerAddress { host: "localhost".into(), port: 9092 },
        },
        api: farlog_wire::ApiKey::JoinGroup,
        subject: "group __farlog-a".to_owned(),
        code: ErrorCode::FENCED_INSTANCE_ID,
        message: None,
    });
    let (link, instance) = ("a".to_owned(), "one".to_owned());
    LinkError::Group { link, instance, source: Box::new(source) }
}

#[tokio::test(start_paused = true)]
async fn the_process_gives_up_when_no_link_ever_ran() {
    let (exit, took) = run(vec![bad("a"), bad("b")], &[]).await;
    assert_eq!(exit, Exit::Unavailable);
    assert!(took < RESTART_MAX, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn one_link_that_fails_does_not_stop_the_others() {
    let (exit, took) = run(vec![bad("a"), good("b", Duration::ZERO)], &[HOUR]).await;
    assert_eq!((exit, took), (Exit::Done, HOUR));
}

#[tokio::test(start_paused = true)]
async fn a_link_that_fails_or_panics_later_is_started_again() {
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = starts.clone();
    let flaky = task("a", move |mut stop| {
        let start = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::select! {
                () = sleep(GOING_AFTER) => assert!(start != 1, "a defect"),
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
            Err(refused("a"))
        }
    });
    let (exit, _) = run(vec![flaky], &[GOING_AFTER * 10]).await;
    assert_eq!(exit, Exit::Done);
    // Every minute and a second, for ten minutes.
    assert_eq!(starts.load(Ordering::Relaxed), 10);
}

#[tokio::test(start_paused = true)]
async fn a_nudge_ends_the_pause_of_a_link_that_failed() {
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&starts);
    let failing = task("a", move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            // Long enough to have got going: the process does not give up.
            sleep(GOING_AFTER).await;
            Err(refused("a"))
        }
    });
    let supervisor = Supervisor::new(vec![failing], DEADLINE);
    let nudge = supervisor.nudge();
    let (_signals, receiver) = mpsc::channel(1);
    let running = tokio::spawn(supervisor.run(receiver));
    let half_a_pause = RESTART_MIN / 2;
    sleep(GOING_AFTER + half_a_pause).await;
    assert_eq!(starts.load(Ordering::Relaxed), 1);
    nudge.notify_waiters();
    sleep(half_a_pause / 2).await;
    assert_eq!(starts.load(Ordering::Relaxed), 2);
    running.abort();
}

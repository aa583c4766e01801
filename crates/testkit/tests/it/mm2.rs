//! MirrorMaker 2 mirrors between two real clusters.

use std::time::{Duration, Instant};

use farlog_testkit::kafka::mm2::{MirrorMaker, MirrorMakerOptions};
use farlog_testkit::kafka::{JvmMode, KafkaCluster, KafkaOptions, KafkaVersion};
use farlog_testkit::tools::Tool;
use farlog_testkit::usage::Usage;

use crate::SHARED;

#[test]
fn mirrormaker_mirrors() {
    let source = SHARED.get();
    let target = KafkaCluster::start(KafkaOptions::new(KafkaVersion::V4_3)).unwrap();
    source.create_topic("mm2-orders", 1, &[]).unwrap();
    Tool::kcat()
        .args(["-b", &source.bootstrap(), "-P", "-t", "mm2-orders"])
        .input("one\ntwo\n")
        .run()
        .unwrap();
    let options = MirrorMakerOptions::new(KafkaVersion::V4_3)
        .jvm(JvmMode::Test)
        .heap_mb(512)
        .property("clusters", "a, b")
        .property("a.bootstrap.servers", source.bootstrap())
        .property("b.bootstrap.servers", target.bootstrap())
        .property("a->b.enabled", true)
        .property("a->b.topics", "mm2-.*")
        .one_replica();
    let mirror_maker = MirrorMaker::start(&options).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let read = ["-C", "-t", "a.mm2-orders", "-e", "-q", "-b", &target.bootstrap()];
    loop {
        let output = Tool::kcat().args(read).run();
        if output.is_ok_and(|output| output.stdout == "one\ntwo\n") {
            break;
        }
        assert!(Instant::now() < deadline, "nothing mirrored:\n{}", mirror_maker.log_tail());
        std::thread::sleep(Duration::from_millis(100));
    }
    let usage = Usage::of(mirror_maker.pid()).unwrap();
    assert!(usage.cpu > Duration::from_secs(1) && usage.rss_bytes_peak > 100 << 20, "{usage:?}");
    mirror_maker.stop().unwrap();
}

//! A broker in this process, and clients of it.

use std::net::{Ipv4Addr, SocketAddr};

use farlog_broker::{Broker, BrokerHandle, BrokerOptions};
use farlog_client::admin::NewTopic;
use farlog_client::{Cluster, ClusterOptions, ServerAddress};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A broker that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) handle: BrokerHandle,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Any free port of this machine.
pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Starts a broker whose logs end with it.
pub(crate) async fn start() -> Running {
    start_with(BrokerOptions::in_memory(loopback())).await
}

/// Starts a broker.
pub(crate) async fn start_with(options: BrokerOptions) -> Running {
    let broker = Broker::open(options).await.expect("the broker opens");
    let handle = broker.handle();
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(broker.run(stopping));
    Running { handle, stop, task }
}

impl Running {
    /// `host:port` for clients.
    pub(crate) fn bootstrap(&self) -> String {
        self.handle.address().to_string()
    }

    /// A client of ours.
    pub(crate) async fn client(&self) -> Cluster {
        let servers = ServerAddress::parse_list(&self.bootstrap()).expect("an address");
        Cluster::connect(ClusterOptions::new(servers)).await.expect("the broker answers")
    }

    /// Makes a topic.
    pub(crate) async fn topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let configs = configs.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(partitions),
            replication_factor: Some(1),
            configs: configs.collect(),
        };
        let made = self.client().await.create_topics(&[topic], false).await.expect("an answer");
        made[name].as_ref().expect("the topic is made");
    }

    /// Ends it and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.expect("the broker ends without a panic");
    }
}

//! Is the broker up? It must say so in its log and answer a request.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What the log says, in every version with KRaft, once the broker is unfenced and listening.
pub(super) const STARTED: &str = "Kafka Server started";

/// The same of a broker with ZooKeeper: `[KafkaServer id=1] started`.
pub(super) const STARTED_WITH_ZOOKEEPER: &str = "] started (kafka.server.KafkaServer)";

/// ZooKeeper itself listens then.
pub(super) const ZOOKEEPER_STARTED: &str = "binding to port";

/// A broker that is up answers within milliseconds; one that is not is asked again.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than any version's ApiVersions v0 answer (six bytes for each of some ninety requests).
const ANSWER_BYTES_MAX: u32 = 64 * 1024;

/// ApiVersions version 0 with correlation id 1 and no client id, in its frame: the one request that
/// every broker answers before authentication. Spelled out because a fixture should not depend on
/// the encoder that it will be used to test.
const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

/// Asks the broker which requests it serves; fails unless it answers without an error.
pub(super) fn shake_hands(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&REQUEST)?;
    let mut start = [0; 10];
    stream.read_exact(&mut start)?;
    let size = u32::from_be_bytes([start[0], start[1], start[2], start[3]]);
    let correlation = u32::from_be_bytes([start[4], start[5], start[6], start[7]]);
    let error = i16::from_be_bytes([start[8], start[9]]);
    if correlation != 1 || error != 0 || !(6..=ANSWER_BYTES_MAX).contains(&size) {
        return Err(io::Error::other(format!(
            "{address} answered ApiVersions with {size} bytes, correlation id {correlation}, \
             error {error}"
        )));
    }
    Ok(())
}

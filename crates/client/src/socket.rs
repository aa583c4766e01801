//! TCP sockets: resolve, connect, set what Kafka traffic needs.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use crate::broker_name::ServerAddress;
use crate::limits::RESOLVED_ADDRESSES_MAX;
use crate::options::SocketOptions;

/// Connects to the first address of the host that answers.
pub(crate) async fn connect(
    server: &ServerAddress,
    options: &SocketOptions,
) -> io::Result<TcpStream> {
    let addresses = lookup_host((&*server.host, server.port)).await?;
    let mut last = None;
    for address in addresses.take(RESOLVED_ADDRESSES_MAX) {
        match connect_address(address, options).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, "the host name has no addresses")
    }))
}

async fn connect_address(address: SocketAddr, options: &SocketOptions) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Buffer sizes decide the window scale, which is agreed on in the handshake: set them before.
    let settings = SockRef::from(&socket);
    if let Some(bytes) = options.send_buffer_bytes {
        settings.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer_bytes {
        settings.set_recv_buffer_size(bytes)?;
    }
    settings.set_tcp_nodelay(true)?;
    settings.set_keepalive(true)?;
    #[cfg(target_os = "linux")]
    settings.set_tcp_user_timeout(options.user_timeout)?;
    let stream = socket.connect(address).await?;
    if options.reset_on_close {
        reset_on_close(&stream)?;
    }
    Ok(stream)
}

/// From now on closing the socket throws unsent bytes away and resets the connection.
pub(crate) fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    stream.set_zero_linger()
}

//! The ceiling: bytes through a plain TCP relay over loopback, with nothing done to them.
//!
//! A sender, the relay and a receiver, each a task of one runtime: what the machine can move at
//! best when one process stands between two sockets.

use std::io;
use std::net::Ipv4Addr;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::error::BenchError;
use crate::report::RelayRun;
use farlog_testkit::usage;

/// What each end hands to the kernel at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Moves so many bytes through the relay.
pub(crate) fn measure(bytes: u64) -> Result<RelayRun, BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_io()
        .build()
        .map_err(BenchError::while_doing("starting a runtime"))?;
    let pid = std::process::id();
    let cpu = || usage::cpu(pid).map_err(BenchError::while_doing("our own CPU time"));
    let cpu_before = cpu()?;
    let start = Instant::now();
    let received =
        runtime.block_on(move_bytes(bytes)).map_err(BenchError::while_doing("relaying bytes"))?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = cpu()?.saturating_sub(cpu_before);
    if received != bytes {
        return Err(BenchError::new(format!("the relay delivered {received} of {bytes} bytes")));
    }
    Ok(RelayRun::new(bytes, seconds, cpu))
}

async fn move_bytes(bytes: u64) -> io::Result<u64> {
    let relay = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let receiver = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let relay_address = relay.local_addr()?;
    let receiver_address = receiver.local_addr()?;
    let receiving = tokio::spawn(async move {
        let (stream, _) = receiver.accept().await?;
        pass_on(stream, None).await
    });
    let relaying = tokio::spawn(async move {
        let (from, _) = relay.accept().await?;
        let to = TcpStream::connect(receiver_address).await?;
        pass_on(from, Some(to)).await
    });
    send(TcpStream::connect(relay_address).await?, bytes).await?;
    joined(relaying.await)?;
    joined(receiving.await)
}

async fn send(mut to: TcpStream, bytes: u64) -> io::Result<()> {
    let buffer = vec![0x5a; BUFFER_BYTES];
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        to.write_all(&buffer[..now]).await?;
        left -= now as u64;
    }
    to.shutdown().await
}

/// Reads to the end and writes all of it, if there is somewhere to write to.
async fn pass_on(mut from: TcpStream, mut to: Option<TcpStream>) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut bytes = 0;
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        if let Some(to) = &mut to {
            to.write_all(&buffer[..read]).await?;
        }
    }
    if let Some(to) = &mut to {
        to.shutdown().await?;
    }
    Ok(bytes)
}

fn joined(outcome: Result<io::Result<u64>, tokio::task::JoinError>) -> io::Result<u64> {
    outcome.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_arrives() {
        let run = super::measure(10_000_001).unwrap();
        assert_eq!(run.bytes, 10_000_001);
        assert!(run.mb_per_second > 0.0);
    }
}

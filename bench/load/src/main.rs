//! `mohhos-load`: the load generator and the bare sink of the benchmarks.
//!
//! ```text
//! mohhos-load sink    --bind 127.0.0.1:1900 --shards 2
//! mohhos-load send    --to 127.0.0.1:1883 --credentials FILE --connections 1000 --topics 10 --per-segment 10
//!                     --qos 0 --inflight 10 --seconds 60 [--rate MSG/S] [--counts FILE] [--drain false]
//! mohhos-load latency --to 127.0.0.1:1883 --credentials FILE --connections 1000 --rate 10000 --seconds 60
//!                     --react 10 | --filter '#' --user NAME --password P
//! mohhos-load receive --to 127.0.0.1:1883 --user NAME --password P --filter '#' --subscribers 1
//!                     --seconds 60
//! mohhos-load hold    --to 127.0.0.1:1883 --credentials FILE --connections 25000 [--ping SECONDS] [--window 100]
//!                     [--subscribe FILTER-BELOW-ITS-OWN]
//!                     [--tls DIR [--resume false] [--shake-only true]] [--timeout 30] [--threads 1]
//! mohhos-load pki     --directory DIR
//! ```
//!
//! `FILE` has one `user,password` line per connection; without it connections give no credentials and are named
//! `load-0`, `load-1`, …. `--counts` writes one `user,messages` line per connection; with
//! `--drain false` connections are dropped at the end, with what is still on its way. `sink`, `receive` and `hold` run
//! until standard input closes (`receive` also ends by itself); what `hold` can be told there stands in `hold::Command`.
//! `pki` makes the authority of `--tls`, and a certificate for the server. Every command prints one JSON object on its last line.

mod args;
mod client;
mod hold;
mod latency;
mod poll;
mod quantile;
mod receive;
mod send;
mod sink;
mod tls;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let outcome = args::Args::parse(words).and_then(|args| match command.as_str() {
        "sink" => sink::run(&args),
        "send" => send::run(&args),
        "latency" => latency::run(&args),
        "receive" => receive::run(&args),
        "hold" => hold::run(&args),
        "pki" => tls::pki::run(&args),
        other => {
            Err(format!("unknown command {other:?}: one of sink, send, latency, receive, hold, pki").into())
        }
    });
    match outcome {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("mohhos-load {command}: {error}");
            ExitCode::FAILURE
        }
    }
}

//! The table: a metric a row, ours first, then how many times the floor it is and how many times better than each peer.

use crate::bench::engine::OURS;
use crate::bench::{Columns, Rows};

/// Prints all metrics of ours under a line that tells where the peers' come from.
pub(super) fn print(origin: &str, mut columns: Columns, floor: &Rows) {
    let ours = columns.remove(OURS).unwrap_or_default();
    print!(
        "\npeers: {origin}\n{:<42} {:>10} {:<8} {:>9} {:>7}",
        "metric (median)", "longshore", "unit", "floor", "times"
    );
    for peer in columns.keys() {
        print!(" {peer:>9} {:>8}", "ratio");
    }
    println!();
    for (metric, (value, unit)) in &ours {
        print!("{metric:<42} {value:>10.4} {unit:<8}");
        match floor.get(metric) {
            Some((best, _)) if is_rate(unit) => print!(" {best:>9.3} {:>6.1}x", best / value),
            Some((least, _)) => print!(" {least:>9.3} {:>6.1}x", value / least),
            None => print!(" {:>9} {:>7}", "-", "-"),
        }
        for rows in columns.values() {
            match rows.get(metric) {
                Some((peer, _)) if is_rate(unit) => print!(" {peer:>9.4} {:>7.1}x", value / peer),
                Some((peer, _)) => print!(" {peer:>9.4} {:>7.1}x", peer / value),
                None => print!(" {:>9} {:>8}", "-", "-"),
            }
        }
        println!();
    }
}

/// Higher is better for these units; for all others lower is.
fn is_rate(unit: &str) -> bool {
    unit.ends_with("/s")
}

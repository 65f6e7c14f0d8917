//! What a process used, and order statistics.

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/<pid>/stat`: fixed in Linux's interface to programs.
const TICKS: f64 = 100.0;

/// CPU seconds a process used so far, all threads, in user mode and in the kernel.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("no process {pid}"))?;
    // The name in parentheses may hold spaces; what follows it does not.
    let (_, rest) = text.rsplit_once(')').context("/proc/<pid>/stat")?;
    let mut words = rest.split_whitespace().skip(11);
    let mut word = || words.next().and_then(|word| word.parse::<f64>().ok());
    Ok((word().context("utime")? + word().context("stime")?) / TICKS)
}

/// Resident bytes of a process.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("no process {pid}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

/// The value below which this share of `values` lies. Zero of nothing.
pub(crate) fn quantile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).round() as usize).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, quantile, resident};

    #[test]
    fn quantiles_of_few_values_are_values() {
        assert_eq!(quantile(&mut [], 0.5), 0);
        assert_eq!(quantile(&mut [9, 1, 5], 0.5), 5);
        assert_eq!(quantile(&mut [9, 1, 5], 0.99), 9);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error_not_a_zero() {
        assert!(cpu_seconds(std::process::id()).is_ok());
        assert!(resident(std::process::id()).is_ok_and(|bytes| bytes > 0));
        assert!(cpu_seconds(u32::MAX).is_err());
        assert!(resident(u32::MAX).is_err());
    }
}

//! What all benches print alike.

/// The median, with the lowest and the highest.
pub fn spread(values: &[f64], digits: usize) -> String {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let [Some(low), Some(high)] = [values.first(), values.last()] else { return String::new() };
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
    if values.len() == 1 { format!("{median:.digits$}") } else { format!("{median:.digits$} ({low:.digits$} to {high:.digits$})") }
}

/// Numbers in an environment variable.
pub fn numbers(variable: &str, default: &str) -> Result<Vec<u32>, String> {
    let text = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    let numbers: Result<Vec<u32>, _> =
        text.split([' ', ',']).filter(|word| !word.is_empty()).map(|word| word.replace('_', "").parse()).collect();
    numbers.map_err(|_| format!("{variable}=\"{text}\": write numbers, such as {variable}=\"{default}\""))
}

/// What it was measured on.
pub fn machine() -> String {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = file("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown CPU", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = file("/proc/loadavg").split_whitespace().next().unwrap_or_default().to_owned();
    let release = file("/proc/sys/kernel/osrelease");
    let version = env!("CARGO_PKG_VERSION");
    format!("deskplane {version}, release build · {cores} cores ({model}) · Linux {} · load {load} at the end", release.trim())
}

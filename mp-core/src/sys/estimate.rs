//! An estimate of how much memory may be taken before the kernel has to kill a process for it, from the text of the
//! kernel's files.
//!
//! ```text
//!  /proc/meminfo            the machine: MemAvailable + SwapFree
//!  /proc/self/cgroup        which control groups this process is in
//!  /proc/self/mountinfo     where their folders are          ──► folders, outermost first
//!  a folder, version 2      memory.max, memory.high, memory.current, memory.stat, memory.swap.{max,current}
//!  a folder, version 1      memory.limit_in_bytes, memory.usage_in_bytes, memory.stat, memory.memsw.*
//! ```
//!
//! The result is the least of what the machine and each control group leave, each less its margin. A group leaves
//! its limit, less what is used, plus what the kernel can reclaim: file pages on its two lists, and the slab that
//! it says is reclaimable. Pages of tmpfs and memfd are on the anonymous lists: they can only be swapped. Swap
//! counts as far as each group from the outside in lets it be used.
//!
//! Nothing here reads a file: the caller passes a function that does. What cannot be read, or is no number, sets no
//! bound.

/// At most this much is left to the rest of the system, and at most a quarter of a limit.
const MARGIN: u64 = 64 << 20;

/// The two forms of control groups, which can be mounted side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// The folder of one control group that binds this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) folder: String,
    pub(super) version: Version,
}

/// The memory control groups that bind this process, each after those that contain it, from `/proc/self/cgroup` and
/// `/proc/self/mountinfo`.
pub(super) fn groups(cgroup: &str, mountinfo: &str) -> Vec<Group> {
    cgroup.lines().filter_map(|line| membership(line, mountinfo)).flatten().collect()
}

/// One line of `/proc/self/cgroup`: `0::/path` is version 2, `n:memory:/path` version 1.
fn membership(line: &str, mountinfo: &str) -> Option<Vec<Group>> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let version = match controllers {
        "" => Version::Two,
        several if lists(several, "memory") => Version::One,
        _ => return None,
    };
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(|line| Mount::of(line, version)).collect();
    let seen = mounts.iter().find_map(|mount| Some((mount, mount.below(path)?)));
    // A group outside of what is mounted here: the mount's own is the innermost that can be seen.
    let (mount, below) = seen.or_else(|| Some((mounts.first()?, "")))?;
    let mut folder = mount.point.trim_end_matches('/').to_owned();
    let mut all = vec![Group { folder: folder.clone(), version }];
    for name in below.split('/').filter(|name| !name.is_empty()) {
        folder = format!("{folder}/{name}");
        all.push(Group { folder: folder.clone(), version });
    }
    Some(all)
}

fn lists(list: &str, name: &str) -> bool {
    list.split(',').any(|other| other == name)
}

struct Mount {
    /// Which group the mount point shows.
    root: String,
    point: String,
}

impl Mount {
    /// One line of mountinfo, if it mounts the groups of this version.
    fn of(line: &str, version: Version) -> Option<Mount> {
        let (place, system) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let mut system = system.split(' ');
        let (kind, options) = (system.next()?, system.nth(1).unwrap_or_default());
        let fits = match version {
            Version::Two => kind == "cgroup2",
            Version::One => kind == "cgroup" && lists(options, "memory"),
        };
        fits.then_some(Mount { root: unescaped(place.next()?), point: unescaped(place.next()?) })
    }

    /// The rest of a group's path below this mount's root.
    fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.root.trim_end_matches('/'))?;
        // The kernel shows a group outside of the namespace as `/../other`.
        let is_inside = rest.is_empty() || rest.starts_with('/');
        (is_inside && !rest.split('/').any(|name| name == "..")).then_some(rest)
    }
}

/// Mountinfo writes a space, a tab, a line feed and a backslash as three octal digits.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, sign)| text.replace(escape, sign))
}

/// Bytes that may be taken; `None`: no file sets a bound.
pub(super) fn left(groups: &[Group], read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let meminfo = read("/proc/meminfo").unwrap_or_default();
    let kib = |name| field(&meminfo, name).map(|kib| kib.saturating_mul(1024));
    let free_swap = kib("SwapFree:").unwrap_or(0);
    let available = kib("MemAvailable:");
    let machine = available.map(|bytes| bytes.saturating_add(free_swap));
    let machine = machine.map(|bytes| less_margin(bytes, kib("MemTotal:").unwrap_or(u64::MAX)));
    // Each form has its tree; what an outer group lets be swapped bounds the inner ones.
    let (mut one, mut two) = (free_swap, free_swap);
    let each = groups.iter().filter_map(|group| match group.version {
        Version::One => left_by_one(&group.folder, &mut one, read),
        Version::Two => left_by_two(&group.folder, &mut two, read),
    });
    each.chain(machine).min()
}

fn less_margin(bytes: u64, limit: u64) -> u64 {
    bytes.saturating_sub(MARGIN.min(limit / 4))
}

fn left_by_two(folder: &str, swap: &mut u64, read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let number = |file: &str| bound(&read(&format!("{folder}/{file}"))?);
    if *swap > 0
        && let Some(most) = number("memory.swap.max")
    {
        *swap = (*swap).min(most.saturating_sub(number("memory.swap.current").unwrap_or(0)));
    }
    // Above `high` the kernel slows a process down until it stands still; `max` is where it kills.
    let limit = [number("memory.max"), number("memory.high")].into_iter().flatten().min()?;
    let used = number("memory.current")?;
    let stat = read(&format!("{folder}/memory.stat")).unwrap_or_default();
    let reclaimable = sum(&stat, ["inactive_file", "active_file", "slab_reclaimable"]).min(used);
    let most = limit.saturating_add(reclaimable).saturating_add(*swap);
    Some(less_margin(most.saturating_sub(used), limit))
}

fn left_by_one(folder: &str, swap: &mut u64, read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let number = |file: &str| bound(&read(&format!("{folder}/{file}"))?);
    let limit = number("memory.limit_in_bytes");
    // Memory and swap together; the file is there only if the kernel accounts for swap.
    let together = if *swap > 0 { number("memory.memsw.limit_in_bytes") } else { None };
    let least = limit.into_iter().chain(together).min()?;
    // The plain names leave out the groups inside this one.
    let stat = read(&format!("{folder}/memory.stat")).unwrap_or_default();
    let reclaimable = sum(&stat, ["total_inactive_file", "total_active_file", "total_slab_reclaimable"]);
    let of = |limit: Option<u64>, used: &str, swap: u64| {
        let (limit, used) = (limit?, number(used)?);
        Some(limit.saturating_add(reclaimable.min(used)).saturating_add(swap).saturating_sub(used))
    };
    let memory = of(limit, "memory.usage_in_bytes", *swap);
    let with_swap = of(together, "memory.memsw.usage_in_bytes", 0);
    memory.into_iter().chain(with_swap).min().map(|bytes| less_margin(bytes, least))
}

/// A limit or a count; `None`: `max`, or what version 1 writes for it, the most that fits in whole pages.
fn bound(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|number| *number < 1 << 62)
}

/// The number after a name that begins a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some(name)).then(|| words.next()?.parse().ok()).flatten()
    })
}

fn sum(text: &str, names: [&str; 3]) -> u64 {
    names.iter().filter_map(|name| field(text, name)).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;

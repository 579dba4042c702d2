//! What the files of machines and containers say, and what follows.

use super::*;
use Version::{One, Two};

const MIB: u64 = 1 << 20;
const MACHINE: &str = "MemTotal:       16384000 kB\nMemFree:          100000 kB\nMemAvailable:    8192000 kB\n\
                       Cached:          9000000 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\n";
const SWAPPING: &str = "MemTotal: 16384000 kB\nMemAvailable: 8192000 kB\nSwapFree: 1048576 kB\n";
/// As systemd mounts them: one tree.
const UNIFIED: &str = "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
/// Version 1 with an empty tree of version 2 beside it.
const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
                      34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
/// What a container without a namespace for groups sees: the mount shows its own group.
const CONTAINED: &str =
    "913 907 0:31 /docker/4f2a /sys/fs/cgroup/memory ro,nosuid master:17 - cgroup cgroup rw,memory\n";

fn folders(cgroup: &str, mountinfo: &str) -> Vec<(String, Version)> {
    groups(cgroup, mountinfo).into_iter().map(|group| (group.folder, group.version)).collect()
}

#[test]
fn folders_are_found_by_the_mounts_outermost_first() {
    let user = "0::/user.slice/user-1000.slice/app.scope\n";
    let all: Vec<_> = folders(user, UNIFIED).into_iter().map(|(folder, _)| folder).collect();
    let below = ["", "/user.slice", "/user.slice/user-1000.slice", "/user.slice/user-1000.slice/app.scope"];
    assert_eq!(all, below.map(|below| format!("/sys/fs/cgroup{below}")));
    type Row = (&'static str, &'static str, &'static [(&'static str, Version)]);
    let table: &[Row] = &[
        ("0::/\n", UNIFIED, &[("/sys/fs/cgroup", Two)]),
        (
            "8:pids:/\n4:cpu,memory:/job/1\n0::/\n",
            HYBRID,
            &[
                ("/sys/fs/cgroup/memory", One),
                ("/sys/fs/cgroup/memory/job", One),
                ("/sys/fs/cgroup/memory/job/1", One),
                ("/sys/fs/cgroup/unified", Two),
            ],
        ),
        // The container's own group, a group below it, and one that only begins alike.
        ("9:memory:/docker/4f2a\n", CONTAINED, &[("/sys/fs/cgroup/memory", One)]),
        (
            "9:memory:/docker/4f2a/in\n",
            CONTAINED,
            &[("/sys/fs/cgroup/memory", One), ("/sys/fs/cgroup/memory/in", One)],
        ),
        ("9:memory:/docker/4f2abc\n", CONTAINED, &[("/sys/fs/cgroup/memory", One)]),
        // Outside of the namespace; and no mount, no file, no sense.
        ("0::/../other\n", UNIFIED, &[("/sys/fs/cgroup", Two)]),
        ("0::/a\n", "", &[]),
        ("", UNIFIED, &[]),
        ("garbage\n::\n1:memory\n", HYBRID, &[("/sys/fs/cgroup/unified", Two)]),
        (
            "0::/a\n",
            "1 1 0:1 / /my\\040groups rw - cgroup2 none rw\n",
            &[("/my groups", Two), ("/my groups/a", Two)],
        ),
    ];
    for (cgroup, mountinfo, expected) in table {
        let expected: Vec<_> =
            expected.iter().map(|(folder, version)| ((*folder).into(), *version)).collect();
        assert_eq!(folders(cgroup, mountinfo), expected, "{cgroup:?} in {mountinfo:?}");
    }
}

/// What is left where these files have these contents. A path that begins with a slash is whole, another one is in
/// the folder `/g`.
fn left_with(folders: &[(&str, Version)], files: &[(&str, &str)]) -> Option<u64> {
    let groups: Vec<Group> = folders
        .iter()
        .map(|(folder, version)| Group { folder: (*folder).into(), version: *version })
        .collect();
    left(&groups, &|path| {
        let named = |name: &str| path == name || path.strip_prefix("/g/") == Some(name);
        files.iter().find(|(name, _)| named(name)).map(|(_, content)| (*content).to_owned())
    })
}

const OLD_STAT: &str = "cache 943718400\nrss 1736704\nshmem 104857600\ninactive_anon 106954752\nactive_anon 8192\n\
                        inactive_file 1\nactive_file 2\nunevictable 0\nhierarchical_memory_limit 1073741824\n\
                        total_cache 943718400\ntotal_shmem 104857600\ntotal_inactive_anon 106954752\n\
                        total_inactive_file 734003200\ntotal_active_file 104857600\n";
const NEW_STAT: &str = "anon 2097152\nfile 943718400\nkernel 9437184\nshmem 104857600\nfile_mapped 0\n\
                        inactive_anon 106954752\nactive_anon 8192\ninactive_file 734003200\n\
                        active_file 104857600\nslab_reclaimable 8388608\nslab_unreclaimable 1048576\nslab 9437184\n";

#[test]
fn the_machine_leaves_what_it_says_less_the_margin() {
    assert_eq!(left_with(&[], &[("/proc/meminfo", MACHINE)]), Some(8000 * MIB - 64 * MIB));
    assert_eq!(left_with(&[], &[("/proc/meminfo", SWAPPING)]), Some(8000 * MIB + 1024 * MIB - 64 * MIB));
    let small = "MemTotal: 102400 kB\nMemAvailable: 51200 kB\n";
    assert_eq!(left_with(&[], &[("/proc/meminfo", small)]), Some(25 * MIB), "a quarter of the machine");
    for unknown in ["", "MemTotal: 1 kB\n", "MemAvailable: many kB\n", "MemAvailable:\n"] {
        assert_eq!(left_with(&[], &[("/proc/meminfo", unknown)]), None, "{unknown:?}");
    }
    assert_eq!(left_with(&[], &[]), None);
}

#[test]
fn page_cache_is_no_use_and_shared_memory_is() {
    let one: &[_] = &[
        ("memory.limit_in_bytes", "1073741824\n"),
        ("memory.usage_in_bytes", "1069547520\n"),
        ("memory.stat", OLD_STAT),
    ];
    // 1024 - 1020 MiB, and 800 MiB of file pages; not the 100 MiB of shared memory that `cache` counts, too.
    assert_eq!(left_with(&[("/g", One)], one), Some((4 + 800 - 64) * MIB));
    let two: &[_] = &[
        ("memory.max", "1073741824\n"),
        ("memory.high", "max\n"),
        ("memory.current", "1069547520\n"),
        ("memory.stat", NEW_STAT),
    ];
    assert_eq!(left_with(&[("/g", Two)], two), Some((4 + 808 - 64) * MIB));
    // Without the list, all that is used counts.
    assert_eq!(left_with(&[("/g", Two)], &two[..3]), Some(0));
    // A list that claims more than is used is not believed.
    let boasting = [two[0], two[1], ("memory.current", "4096\n"), two[3]];
    assert_eq!(left_with(&[("/g", Two)], &boasting), Some((1024 - 64) * MIB));
}

#[test]
fn high_is_a_limit_and_no_limit_is_none() {
    let with = |max, high| {
        let files = [("memory.max", max), ("memory.high", high), ("memory.current", "104857600\n")];
        left_with(&[("/g", Two)], &files)
    };
    assert_eq!(with("max\n", "max\n"), None);
    assert_eq!(with("max\n", "524288000\n"), Some((500 - 100 - 64) * MIB));
    assert_eq!(with("524288000\n", "max\n"), Some((500 - 100 - 64) * MIB));
    assert_eq!(with("524288000\n", "419430400\n"), Some((400 - 100 - 64) * MIB));
    assert_eq!(with("524288000\n", "52428800\n"), Some(0), "above high already");
    assert_eq!(with("0\n", "max\n"), Some(0));
    let one = |limit| {
        let files = [("memory.limit_in_bytes", limit), ("memory.usage_in_bytes", "104857600\n")];
        left_with(&[("/g", One)], &files)
    };
    assert_eq!(one("9223372036854771712\n"), None);
    assert_eq!(one("18446744073709551615\n"), None);
    assert_eq!(one("134217728\n"), Some(0), "28 MiB, and 32 of them are the margin");
    assert_eq!(one("268435456\n"), Some((256 - 100 - 64) * MIB));
    assert_eq!(one(""), None);
}

#[test]
fn each_group_binds_and_each_tree() {
    let outer = [("/g/memory.max", "1073741824\n"), ("/g/memory.current", "943718400\n")];
    let inner = [("/g/in/memory.max", "524288000\n"), ("/g/in/memory.current", "104857600\n")];
    let both = [("/g", Two), ("/g/in", Two)];
    let files = [outer, inner].concat();
    assert_eq!(left_with(&both, &files), Some((1024 - 900 - 64) * MIB));
    assert_eq!(left_with(&both, &inner), Some((500 - 100 - 64) * MIB));
    let old = [("/o/memory.limit_in_bytes", "104857600\n"), ("/o/memory.usage_in_bytes", "0\n")];
    let all = [&files[..], &old, &[("/proc/meminfo", MACHINE)]].concat();
    assert_eq!(left_with(&[("/o", One), ("/g", Two), ("/g/in", Two)], &all), Some(60 * MIB));
    // The root has no files: it sets no bound of its own.
    assert_eq!(left_with(&[("/", Two)], &[("/proc/meminfo", MACHINE)]), Some(7936 * MIB));
}

#[test]
fn swap_counts_as_far_as_each_group_lets_it() {
    let two = |swap: &[(&str, &str)]| {
        let files = [
            ("/proc/meminfo", SWAPPING),
            ("/g/memory.max", "max\n"),
            ("/g/in/memory.max", "536870912\n"),
            ("/g/in/memory.current", "536870912\n"),
        ];
        left_with(&[("/g", Two), ("/g/in", Two)], &[&files[..], swap].concat())
    };
    assert_eq!(two(&[]), Some((1024 - 64) * MIB), "all of the machine's");
    assert_eq!(two(&[("/g/in/memory.swap.max", "max\n")]), Some((1024 - 64) * MIB));
    assert_eq!(two(&[("/g/in/memory.swap.max", "0\n")]), Some(0));
    let some = [("/g/in/memory.swap.max", "209715200\n"), ("/g/in/memory.swap.current", "104857600\n")];
    assert_eq!(two(&some), Some((100 - 64) * MIB));
    assert_eq!(two(&[("/g/memory.swap.max", "104857600\n")]), Some((100 - 64) * MIB), "the outer group's");
    let one = |meminfo, together| {
        let files = [
            ("/proc/meminfo", meminfo),
            ("memory.limit_in_bytes", "536870912\n"),
            ("memory.usage_in_bytes", "524288000\n"),
            ("memory.memsw.limit_in_bytes", together),
            ("memory.memsw.usage_in_bytes", "629145600\n"),
        ];
        left_with(&[("/g", One)], &files)
    };
    assert_eq!(one(SWAPPING, "9223372036854771712\n"), Some((12 + 1024 - 64) * MIB));
    assert_eq!(one(SWAPPING, "838860800\n"), Some((200 - 64) * MIB));
    assert_eq!(one(MACHINE, "838860800\n"), Some(0), "there is no swap: 12 MiB");
}

//! How many CPUs this process may use: what its affinity allows, less what its cgroup's quota takes away.
//!
//! The one thing to know: the rule is that of Go 1.25. A quota of Q CPU seconds per second counts as Q rounded
//! up, but never as fewer than 2, so that one goroutine that computes does not hold up the rest when the quota
//! would let both run for a while; and it only lowers the number. Unlike Go, which reads the limit of the
//! process's own cgroup, this walks up the tree: a limit on any group above holds for all below it.
//!
//! Everything but the first three functions works on texts and a reader of files, so that the tests can bring
//! machines of their own.

use std::path::{Path, PathBuf};

/// The processors to start with: `GORT_MAXPROCS` if that is a number from 1 up, else [`available`].
pub(crate) fn default_procs() -> u32 {
    let wanted = std::env::var_os("GORT_MAXPROCS");
    wanted.as_deref().and_then(|text| text.to_str()).and_then(positive).unwrap_or_else(available)
}

/// The CPUs that affinity and cgroup quota leave to the calling thread; at least 1. Asks the kernel each time.
pub(crate) fn available() -> u32 {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    lower(affinity(), quota(&read))
}

/// The CPUs in the calling thread's affinity mask.
fn affinity() -> u32 {
    // The kernel refuses a mask that is smaller than its own, whose size it does not tell: 1024 CPUs, then
    // twice as many, to half a million.
    let mut mask = vec![0_u64; 16];
    while mask.len() <= 8192 {
        let size = size_of_val(mask.as_slice());
        // SAFETY: `mask` is a buffer of `size` bytes, which is all that the call writes.
        let failed = unsafe { libc::sched_getaffinity(0, size, mask.as_mut_ptr().cast()) } != 0;
        if !failed {
            return mask.iter().map(|word| word.count_ones()).sum();
        }
        mask = vec![0; mask.len() * 2];
    }
    // SAFETY: no preconditions.
    let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u32::try_from(online).unwrap_or(1)
}

fn positive(text: &str) -> Option<u32> {
    // `parse` alone would take "+4".
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|&n| digits && n >= 1)
}

/// Go's rule.
fn lower(cpus: u32, quota: Option<u32>) -> u32 {
    cpus.min(quota.unwrap_or(u32::MAX).max(2)).max(1)
}

type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// The least quota of this process's cgroup and those above it, in CPUs rounded up; `None`: no limit that can
/// be seen.
fn quota(read: Read<'_>) -> Option<u32> {
    let (version, group) = own_group(&read(Path::new("/proc/self/cgroup"))?)?;
    let mountinfo = read(Path::new("/proc/self/mountinfo"))?;
    let (top, below) = directory(&mountinfo, version, &group)?;
    let groups = below.ancestors().map(|group| top.join(group));
    groups.filter_map(|dir| limit(read, version, &dir)).min()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    V1,
    V2,
}

/// From `/proc/self/cgroup`: the hierarchy that has the CPU controller, and this process's path in it. Lines
/// are `id:controllers:path`; version 2 has id 0 and no controllers listed. A version 1 hierarchy with `cpu`
/// comes first: then version 2 does not have the controller.
fn own_group(cgroup: &str) -> Option<(Version, PathBuf)> {
    let mut found = None;
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        if has_cpu(controllers) {
            return Some((Version::V1, path.into()));
        }
        if id == "0" {
            found = Some((Version::V2, path.into()));
        }
    }
    found
}

fn has_cpu(list: &str) -> bool {
    list.split(',').any(|item| item == "cpu")
}

/// From `/proc/self/mountinfo`: where the hierarchy is mounted, and where below that `group` is. Lines are
/// `id parent device root mount-point options [tags] - type source super-options`. A mount shows the hierarchy
/// from its `root` down: a container may see only its own group, by its full name or as `/`.
fn directory(mountinfo: &str, version: Version, group: &Path) -> Option<(PathBuf, PathBuf)> {
    // The group of a process that left its namespace: none of the mounts shows it.
    if group.starts_with("/..") {
        return None;
    }
    let mut elsewhere = None;
    for line in mountinfo.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        let mut filesystem = filesystem.split(' ');
        let (kind, options) = (filesystem.next(), filesystem.nth(1).unwrap_or_default());
        let matches = match version {
            Version::V1 => kind == Some("cgroup") && has_cpu(options),
            Version::V2 => kind == Some("cgroup2"),
        };
        let mut mount = mount.split(' ').skip(3).map(unescape);
        if let (true, Some(root), Some(point)) = (matches, mount.next(), mount.next()) {
            if let Ok(below) = group.strip_prefix(root) {
                return Some((point.into(), below.into()));
            }
            elsewhere.get_or_insert(point);
        }
    }
    // Mounted under a name that the group does not have, as some containers do: its top is our group.
    elsewhere.map(|point| (point.into(), PathBuf::new()))
}

/// Undoes the octal escapes (`\040`: a space) of paths in mountinfo.
fn unescape(path: &str) -> String {
    let mut parts = path.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(code) => {
                plain.push(code.into());
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// The quota of one group, in CPUs rounded up.
fn limit(read: Read<'_>, version: Version, dir: &Path) -> Option<u32> {
    let (quota, period) = match version {
        Version::V1 => (read(&dir.join("cpu.cfs_quota_us"))?, read(&dir.join("cpu.cfs_period_us"))?),
        Version::V2 => {
            let max = read(&dir.join("cpu.max"))?;
            let (quota, period) = max.split_once(' ')?;
            (quota.to_owned(), period.to_owned())
        }
    };
    // "No limit" is -1 or "max": no number here.
    let (quota, period): (u64, u64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (period > 0).then(|| u32::try_from(quota.div_ceil(period)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A machine whose files are these.
    fn quota_of(files: &[(&str, &str)]) -> Option<u32> {
        let files: HashMap<&Path, &str> =
            files.iter().map(|(path, text)| (Path::new(*path), *text)).collect();
        quota(&|path| files.get(path).map(|text| (*text).to_owned()))
    }

    const V2_MOUNT: &str = "\
22 28 0:21 / /proc rw,nosuid - proc proc rw
30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
";
    const V1_MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
33 31 0:30 /docker/c1 /sys/fs/cgroup/cpuacct rw - cgroup cgroup rw,cpuacct
32 31 0:29 /docker/c1 /sys/fs/cgroup/cpu\\040all rw master:1 shared:7 - cgroup cgroup rw,cpuset,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    #[test]
    fn v2_the_least_limit_on_the_way_up_counts() {
        let mut files = vec![
            ("/proc/self/cgroup", "0::/user.slice/app.scope\n"),
            ("/proc/self/mountinfo", V2_MOUNT),
            ("/sys/fs/cgroup/user.slice/app.scope/cpu.max", "max 100000\n"),
        ];
        assert_eq!(quota_of(&files), None);
        files.push(("/sys/fs/cgroup/user.slice/cpu.max", "350000 100000\n"));
        assert_eq!(quota_of(&files), Some(4));
        files[2].1 = "250000 100000\n";
        assert_eq!(quota_of(&files), Some(3));
        files.push(("/sys/fs/cgroup/cpu.max", "100 100000\n"));
        assert_eq!(quota_of(&files), Some(1));
    }

    #[test]
    fn v2_in_a_container_that_sees_itself_as_the_root() {
        let files = [
            ("/proc/self/cgroup", "0::/\n"),
            ("/proc/self/mountinfo", V2_MOUNT),
            ("/sys/fs/cgroup/cpu.max", "600000 100000\n"),
        ];
        assert_eq!(quota_of(&files), Some(6));
    }

    #[test]
    fn v1_comes_before_v2_and_its_mount_may_be_cut_out_and_escaped() {
        let mut files = vec![
            ("/proc/self/cgroup", "3:memory:/x\n2:cpuacct:/y\n1:cpuset,cpu:/docker/c1/sub\n0::/\n"),
            ("/proc/self/mountinfo", V1_MOUNTS),
            ("/sys/fs/cgroup/unified/cpu.max", "100000 100000\n"),
            ("/sys/fs/cgroup/cpu all/sub/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu all/sub/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/cpu all/cpu.cfs_quota_us", "450001\n"),
            ("/sys/fs/cgroup/cpu all/cpu.cfs_period_us", "50000\n"),
        ];
        assert_eq!(quota_of(&files), Some(10));
        // A group that is not below the mount's root: the mount is taken to be the group.
        files[0].1 = "1:cpu:/kubepods/p1\n";
        assert_eq!(quota_of(&files), Some(10));
    }

    #[test]
    fn what_cannot_be_seen_or_read_is_no_limit() {
        assert_eq!(quota_of(&[]), None);
        for (cgroup, mounts, max) in [
            ("0::/../other\n", V2_MOUNT, "100000 100000\n"),
            ("5:memory:/\n", V2_MOUNT, "100000 100000\n"),
            ("rubbish", V2_MOUNT, "100000 100000\n"),
            ("0::/\n", "rubbish\n", "100000 100000\n"),
            ("0::/\n", V2_MOUNT, "100000\n"),
            ("0::/\n", V2_MOUNT, "100000 0\n"),
            ("0::/\n", V2_MOUNT, ""),
        ] {
            let files = [
                ("/proc/self/cgroup", cgroup),
                ("/proc/self/mountinfo", mounts),
                ("/sys/fs/cgroup/cpu.max", max),
            ];
            assert_eq!(quota_of(&files), None, "{files:?}");
        }
    }

    #[test]
    fn a_quota_only_lowers_and_not_below_two() {
        assert_eq!(lower(8, None), 8);
        assert_eq!(lower(8, Some(3)), 3);
        assert_eq!(lower(8, Some(1)), 2);
        assert_eq!(lower(1, Some(1)), 1);
        assert_eq!(lower(4, Some(u32::MAX)), 4);
        assert_eq!(lower(0, None), 1);
    }

    #[test]
    fn only_whole_numbers_from_one_up_are_taken() {
        assert_eq!((positive("1"), positive("64")), (Some(1), Some(64)));
        for text in ["", "0", "-1", "+4", " 2", "2 ", "2.5", "0x4", "two", "99999999999"] {
            assert_eq!(positive(text), None, "{text:?}");
        }
    }

    #[test]
    fn escapes_are_octal() {
        assert_eq!(unescape(r"/a\040b\134c"), r"/a b\c");
        assert_eq!(unescape(r"/plain\"), r"/plain\");
    }

    /// Affinity counts what this thread was given: with one CPU it is one, whatever the machine has.
    #[test]
    fn affinity_follows_the_mask() {
        let all = affinity();
        assert!(all >= 1);
        // SAFETY: an all-zero cpu_set_t is the empty set; the calls read and write that one set.
        unsafe {
            let mut allowed: libc::cpu_set_t = std::mem::zeroed();
            assert_eq!(libc::sched_getaffinity(0, size_of_val(&allowed), &mut allowed), 0);
            let first = (0..1024).find(|&cpu| libc::CPU_ISSET(cpu, &allowed)).unwrap();
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(first, &mut one);
            assert_eq!(libc::sched_setaffinity(0, size_of_val(&one), &one), 0);
            assert_eq!((affinity(), available()), (1, 1));
            assert_eq!(libc::sched_setaffinity(0, size_of_val(&allowed), &allowed), 0);
        }
        assert_eq!(affinity(), all);
    }
}

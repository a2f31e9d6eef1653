"""What a container may use, from trees of files as systems have them."""

from guardian.telemetry.machine import machine, memory_left

MEMINFO = "MemTotal:        8388608 kB\nMemFree:  1024 kB\n"


def tree(folder, **files):
    for path, text in {"proc/meminfo": MEMINFO, **files}.items():
        where = folder / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)
    return folder


def found(folder, affinity=8):
    here = machine(folder, affinity)
    return here.cores.value, here.memory.value if here.memory else None


def test_a_machine_without_limits(tmp_path):
    tree(tmp_path)
    assert found(tmp_path) == (8, 8192)


def test_affinity_bounds(tmp_path):
    assert found(tree(tmp_path), affinity=3) == (3, 8192)


def test_the_tightest_group_above_counts(tmp_path):
    top = "sys/fs/cgroup"
    tree(
        tmp_path,
        **{
            "proc/self/cgroup": "0::/kubepods/pod1/c1\n",
            f"{top}/kubepods/cpu.max": "400000 100000\n",
            f"{top}/kubepods/pod1/cpu.max": "150000 100000\n",
            f"{top}/kubepods/pod1/c1/cpu.max": "max 100000\n",
            f"{top}/kubepods/pod1/memory.max": f"{3 << 30}\n",
            f"{top}/kubepods/pod1/c1/memory.max": "max\n",
            f"{top}/kubepods/pod1/c1/memory.high": f"{2 << 30}\n",
        },
    )
    assert found(tmp_path) == (1.5, 2048)
    assert "cpu.max" in machine(tmp_path, 8).cores.by
    assert "memory.high" in machine(tmp_path, 8).memory.by


def test_a_container_that_sees_its_own_group_as_the_topmost(tmp_path):
    tree(
        tmp_path,
        **{
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/memory.max": str(512 << 20),
        },
    )
    assert found(tmp_path) == (0.5, 512)


def test_version_1(tmp_path):
    top = "sys/fs/cgroup"
    tree(
        tmp_path,
        **{
            "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n",
            # The path is that of the machine; the container is shown its group as the topmost one.
            f"{top}/cpu,cpuacct/cpu.cfs_quota_us": "250000",
            f"{top}/cpu,cpuacct/cpu.cfs_period_us": "100000",
            f"{top}/memory/memory.limit_in_bytes": str(1 << 30),
        },
    )
    assert found(tmp_path) == (2.5, 1024)


def test_version_1_without_limits(tmp_path):
    top = "sys/fs/cgroup"
    tree(
        tmp_path,
        **{
            "proc/self/cgroup": "4:memory:/\n1:cpu:/\n",
            f"{top}/cpu/cpu.cfs_quota_us": "-1",
            f"{top}/cpu/cpu.cfs_period_us": "100000",
            f"{top}/memory/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    assert found(tmp_path) == (8, 8192)


def test_files_that_make_no_sense_say_nothing(tmp_path):
    tree(
        tmp_path,
        **{
            "proc/self/cgroup": "nonsense\n0::/../../etc\n",
            "sys/fs/cgroup/cpu.max": "a lot\n",
            "sys/fs/cgroup/memory.max": "",
        },
    )
    assert found(tmp_path) == (8, 8192)


def test_a_system_that_says_nothing(tmp_path):
    assert found(tmp_path) == (8, None)
    assert machine().cores.value > 0


AVAILABLE = {"proc/meminfo": MEMINFO + "MemAvailable:    4194304 kB\n"}


def test_what_is_left_on_a_machine_without_limits(tmp_path):
    assert memory_left(tree(tmp_path, **AVAILABLE)) == 4096
    assert memory_left(tmp_path / "elsewhere") is None


def test_what_is_left_in_a_group_counts_pages_of_files_as_free(tmp_path):
    top = "sys/fs/cgroup/system.slice"
    tree(
        tmp_path,
        **AVAILABLE,
        **{
            "proc/self/cgroup": "0::/system.slice/guardian.service\n",
            f"{top}/guardian.service/memory.max": "max\n",
            f"{top}/guardian.service/memory.current": str(100 << 20),
            f"{top}/memory.max": str(1 << 30),
            f"{top}/memory.high": str(768 << 20),
            f"{top}/memory.current": str(500 << 20),
            f"{top}/memory.stat": f"anon 1\ninactive_file {200 << 20}\nactive_file 7\n",
        },
    )
    assert memory_left(tmp_path) == 768 - 500 + 200


def test_what_is_left_in_a_group_of_version_1(tmp_path):
    top = "sys/fs/cgroup/memory/docker/c1"
    tree(
        tmp_path,
        **AVAILABLE,
        **{
            "proc/self/cgroup": "4:memory:/docker/c1\n",
            f"{top}/memory.limit_in_bytes": str(256 << 20),
            f"{top}/memory.usage_in_bytes": str(300 << 20),
            f"{top}/memory.stat": f"inactive_file 5\ntotal_inactive_file {20 << 20}\n",
        },
    )
    assert memory_left(tmp_path) == 0

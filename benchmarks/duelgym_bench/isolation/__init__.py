"""Agents of strangers, each in a process of its own.

:class:`duelgym_bench.isolation.agent.IsolatedAgent` is an agent like any other to a run. Behind it, a guard process (``guard``)
starts the agent's process (``child``) in an ``enclosure``, and the two ends talk in raw arrays and JSON (``wire``).
Linux only; neither root nor a set-up is needed.

**What crosses.** To the agent: its factory's arguments, with a seed of its own; contexts, pairs and preferences. From it: pairs,
recommendations and, where it has them, sampled utilities, saved states and counters. Types and shapes are checked before
memory is set aside, ranges and finiteness before use; nothing is unpickled or executed. The environment, its seed, its pool's
utilities and candidate ids do not cross. The harness's seeds of agents and of environments are public hashes of the same
seed index, however, so an agent that knows how they are made knows which public seed it is on; who wants that hidden
must derive one of them from a secret.

**What is stopped, with namespaces.** The agent runs without any privilege (as nobody, if the harness is root), and sees: its own
processes; Python's installation, duelgym's three packages without ``LLMDuel-v0``'s pool and the reward model that rated it,
its own code and what was named to it, all read-only; an empty scratch directory in memory. There is no network and no
accelerator. Its processes together stay within :class:`~duelgym_bench.isolation.limits.Limits`: the kernel caps their number
and one allocation; the guard looks at memory and processor time 40 times a second and kills all of them at once, as it does
when the harness ends, however it ends. What it could not count is refused: memory that processes share without a file
(Python's ``mmap.mmap(-1, length)`` is such), and ignoring or handling SIGCHLD, with which children's times could be lost. What
they print is thrown away but for the last few KB. Environment variables, descriptors and arguments of the harness are not
inherited. Nothing is left behind.

**What is not.** A hole in the Linux kernel: a filter of system calls keeps the riskiest parts away, but ranked runs of strangers
belong on a machine that holds nothing else and is thrown away afterwards. Memory that the kernel holds for pipes and
sockets is bounded by their number alone, and between two looks memory can grow beyond its limit for some hundredths of a second.
Timing and load of shared processors and caches can be seen by an agent, and it slows others by using them. Which
candidates it is shown may tell it what the pool is: it can carry answers to public pools in its own code, or a copy of the
reward model that would give them. Only reading that code finds these.

**Assessment** is asked of a deep copy within the agent's process, as without isolation. An honest agent's run does not depend on it. A
dishonest one can remember what it was shown there, in a global variable or in scratch: contexts of held-out prompts, which
carry no label.

**Where the kernel lends no namespaces** (some containers and hardened systems), limits, watching and the filter remain: no network,
no signals to others, no tracing. But files are those of the user who runs the harness, to read and to write, among them the
harness's memory in ``/proc`` where the system does not forbid it (to root it never does); a number of processes is
noticed (ten times a second) rather than capped, which a fork bomb may outrun; of scratch only single files are limited; and no
limit counts what it holds in files in memory, as in ``/dev/shm``, or by sharing a mapping of ``/dev/zero``. What is missing is
said in :attr:`~duelgym_bench.isolation.agent.IsolatedAgent.missing`, and ``namespaces="required"`` refuses to run like that.
"""

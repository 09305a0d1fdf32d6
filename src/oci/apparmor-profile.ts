import { messageOf, wrap } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { ApparmorFacts } from './host-facts.ts';

/** Name of the profile that Berth loads for RuntimeDefault. */
export const DEFAULT_APPARMOR_PROFILE = 'berth-default';

/**
 * The profile of RuntimeDefault: a container may do what its user and capabilities allow, except to mount and to change the
 * machine by way of /proc and /sys. Containers may signal and trace those of the same profile only.
 * @param own the profile that we have ourselves, and so has the runtime that we start.
 */
function defaultText(own: string): string {
  return `
profile ${DEFAULT_APPARMOR_PROFILE} flags=(attach_disconnected, mediate_deleted) {
  file,
  network,
  unix,
  capability,
  umount,

  # What the seccomp profile denies, too: 32-bit programs reach them by socketcall, into whose arguments no filter sees.
  deny network alg,
  deny network vsock,

  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (receive) peer="${literal(own)}",
  signal (send, receive) peer=${DEFAULT_APPARMOR_PROFILE},
  ptrace (trace, read, tracedby) peer=${DEFAULT_APPARMOR_PROFILE},
  # By whoever may by its own profile: a runtime that has one looks for the namespaces of a container.
  ptrace (readby),

  deny mount,
  deny /proc/{kcore,kmem,mem,sysrq-trigger} rwklx,
  # All but those of processes.
  deny /proc/[^0-9/]* w,
  deny /proc/{[^0-9s/]*,s[^y/]*,sy[^s/]*,sys[^/]*}/** w,
  # All but those of the IPC namespace: msg*, sem*, shm*.
  deny /proc/sys/[^k/]** w,
  deny /proc/sys/kernel/{[^ms]**,m[^s]**,ms[^g]**,s[^eh]**,se[^m]**,sh[^m]**} w,
  # All but cgroups.
  deny /sys/{[^f/]**,f[^s/]**,fs/[^c/]**,fs/c[^g/]**} wklx,
  deny /sys/{devices/virtual/powercap,firmware,kernel/security}/** rwklx,
}
`;
}

/** A name where a pattern is read. */
function literal(name: string): string {
  return name.replace(/[\\"*?^{}[\]]/g, '\\$&');
}

const TIMEOUT_MS = 30_000;

/**
 * Loads the default profile into the kernel, in place of an older one of that name, and gives the facts with it. Where
 * apparmor_parser is not installed or refuses it, the older one stays, or there is none.
 */
export async function loadDefaultApparmor(
  facts: ApparmorFacts,
  log: Logger,
  parser = 'apparmor_parser',
): Promise<ApparmorFacts> {
  const load = (): Promise<void> => parse(parser, defaultText(facts.ownProfile));
  try {
    await load();
  } catch (error) {
    const isLoaded = facts.isLoaded(DEFAULT_APPARMOR_PROFILE);
    log.warn(
      isLoaded
        ? 'the default apparmor profile stays as it was loaded before'
        : 'containers run without an apparmor profile unless they name one',
      { error: messageOf(error) },
    );
    if (!isLoaded) return facts;
  }
  return { ...facts, defaultProfile: { name: DEFAULT_APPARMOR_PROFILE, load } };
}

async function parse(parser: string, input: string): Promise<void> {
  // Services of some nodes have no sbin in their PATH.
  const env = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  // Not before it is needed: it takes a twentieth of a start.
  const { execa } = await import('execa');
  try {
    const options = { input, timeout: TIMEOUT_MS, env };
    await execa(parser, ['--replace', '--skip-cache'], options);
  } catch (error) {
    throw wrap(`failed to load apparmor profile "${DEFAULT_APPARMOR_PROFILE}"`, error, 'UNAVAILABLE');
  }
}

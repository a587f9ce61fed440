import { BugError, SystemError } from '@kith/base';

/**
 * Gives up root for good: the controller is started with it only so that it can load its own files wherever they stand, and must have
 * dropped it before it opens any connection (WALL 2). Does nothing when the process is unprivileged already.
 * @throws SystemError PRIVILEGES when the system refuses.
 */
export function dropPrivileges(owner: { uid: number; gid: number }): void {
  if (process.getuid?.() !== 0 || owner.uid === 0) return;
  try {
    process.setgroups?.([owner.gid]);
    process.setgid?.(owner.gid);
    process.setuid?.(owner.uid);
  } catch (cause) {
    throw new SystemError('PRIVILEGES', `cannot become user ${owner.uid}, group ${owner.gid}`, { cause });
  }
  let regained = true;
  try {
    process.setuid?.(0);
  } catch {
    regained = false;
  }
  if (regained) throw new BugError('PRIVILEGES', 'root was given up but could be had again');
}

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Field of an inode in /proc/net/udp (proc_pid_net(5)). */
const INODE_FIELD = 9;

/**
 * Whether the UDP socket that is bound to a local port belongs to this process. Takes a few milliseconds where there are many open
 * files; false as well where /proc cannot be read.
 */
export function isOwnUdpPort(port: number): boolean {
  const inodes = new Set(
    ['/proc/self/net/udp', '/proc/self/net/udp6'].flatMap((file) => inodesOf(file, port)),
  );
  if (inodes.size === 0) return false;
  return ownSockets().some((inode) => inodes.has(inode));
}

function inodesOf(file: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return linesOf(file).flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const inode = fields[INODE_FIELD];
    return fields[1]?.endsWith(`:${hex}`) === true && inode !== undefined ? [inode] : [];
  });
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').slice(1);
  } catch {
    // A kernel without IPv6 has no udp6.
    return [];
  }
}

function ownSockets(): string[] {
  try {
    return readdirSync('/proc/self/fd').flatMap((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/self/fd/${fd}`))?.[1];
      return inode === undefined ? [] : [inode];
    });
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // The descriptor that read the directory is closed by now.
    return '';
  }
}

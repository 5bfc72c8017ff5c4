import { readdir, readFile, readlink } from 'node:fs/promises'

/** A process and all that it started, directly or not (Linux's /proc). */
export async function descendants(pid: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const parents = new Map(
    await Promise.all(pids.map(async (child) => [child, await parentOf(child)] as const)),
  )
  const found = [pid]
  for (const parent of found) {
    for (const [child, itsParent] of parents) if (itsParent === parent) found.push(child)
  }
  return found
}

async function parentOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The second field is the program's name in parentheses, which may hold anything.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

/** Local addresses of the process's listening TCP sockets, in the kernel's hexadecimal (proc_net(5)). */
export async function listeningAddresses(pid: number): Promise<string[]> {
  const files = await readdir(`/proc/${pid}/fd`).catch(() => [])
  const links = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')))
  const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((table) => readFile(`/proc/${pid}/net/${table}`, 'utf8')),
  )
  const listenState = '0A'
  return tables
    .flatMap((table) => table.trim().split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode = '']) => state === listenState && inodes.has(inode))
    .map(([, address = '']) => address.split(':')[0]!)
}

const loopback = ['0100007F', '00000000000000000000000001000000', '0000000000000000FFFF00000100007F']
export const isLoopback = (address: string) => loopback.includes(address)

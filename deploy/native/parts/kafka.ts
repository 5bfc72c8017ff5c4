import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mavenProject } from '../install.ts'
import { deployFile, type Part, portOf, runFolder } from '../part.ts'
import { runningPid } from '../processes.ts'

const port = portOf(19_092)
const controllerPort = portOf(19_093)

/** Kafka, Connect and the plugins, from Maven Central. @returns the folder with lib/ and plugins/ */
export function kafkaDistribution(): string {
  return mavenProject(deployFile('connect'), ['pom.xml', 'src'])
}

const classArchive = (name: string) => join(kafkaDistribution(), `${name}.jsa`)

/**
 * Keeps the classes of a part that has started as the JVM has them in memory (JEP 350), which halves the CPU of every
 * start after it. Without them it only starts more slowly: jcmd says why it could not keep them.
 */
export function archiveClasses(part: Part): void {
  const archive = classArchive(part.name)
  if (existsSync(archive)) return
  const unfinished = `${archive}.${process.pid}`
  const dump = [String(runningPid(part)), 'VM.cds', 'dynamic_dump', unfinished]
  const { status } = spawnSync('jcmd', dump, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status === 0) renameSync(unfinished, archive)
}

/** @param heapMegabytes more than is needed here makes the first collection later, and the process larger */
export function javaArgs(name: string, heapMegabytes: number): string[] {
  const archive = classArchive(name)
  return [
    existsSync(archive) ? `-XX:SharedArchiveFile=${archive}` : '-XX:+RecordDynamicDumpInfo',
    // PostgreSQL writes times in the client's zone, which is the JVM's.
    '-Duser.timezone=UTC',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    `-Xmx${heapMegabytes}m`,
    `-Dlog4j2.configurationFile=${deployFile('kafka/log4j2.properties')}`,
    '-cp',
    join(kafkaDistribution(), 'lib', '*'),
  ]
}

/** 22 characters of Base64: any will do, for a cluster that is alone. */
const clusterId = 'dGVuZG9uLW9uLWxvb3BiYQ'

export const kafka: Part = {
  name: 'kafka',
  port,
  prepare() {
    const java = javaArgs('kafka', 384)
    const data = join(runFolder, 'kafka')
    const properties = join(runFolder, 'kafka.properties')
    const own = {
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
      'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
      'log.dirs': data,
    }
    const lines = Object.entries(own).map(([name, value]) => `${name}=${value}`)
    writeFileSync(
      properties,
      `${readFileSync(deployFile('kafka/server.properties'), 'utf8')}\n${lines.join('\n')}\n`,
    )
    if (!existsSync(join(data, 'meta.properties'))) {
      execFileSync(
        'java',
        [...java, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties],
        {
          stdio: ['ignore', 'ignore', 'inherit'],
        },
      )
    }
    return { program: 'java', args: [...java, 'kafka.Kafka', properties] }
  },
  initialize: async () => archiveClasses(kafka),
  exports: () => ({ KAFKA_BROKERS: `127.0.0.1:${port}` }),
}

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answers, deployFile, type Part, portOf, runFolder } from '../part.ts'
import { javaArgs, kafka, kafkaDistribution } from './kafka.ts'
import { crm } from './postgres.ts'

const port = portOf(18_083)

export const connect: Part = {
  name: 'connect',
  port,
  needs: ['crm', 'kafka'],
  prepare() {
    const distribution = kafkaDistribution()
    // The only setting that a worker reads without its config providers.
    const properties = join(runFolder, 'connect.properties')
    const shared = readFileSync(deployFile('connect/worker.properties'), 'utf8')
    writeFileSync(properties, `${shared}\nplugin.path=${join(distribution, 'plugins')}\n`)
    return {
      program: 'java',
      args: [...javaArgs(distribution, 512), 'org.apache.kafka.connect.cli.ConnectDistributed', properties],
      env: {
        CONNECT_BOOTSTRAP_SERVERS: `127.0.0.1:${kafka.port}`,
        CONNECT_LISTENER: `http://127.0.0.1:${port}`,
        CONNECT_ADVERTISED_HOST: '127.0.0.1',
        CRM_CDC_HOST: '127.0.0.1',
        CRM_CDC_PORT: String(crm.port),
        CRM_CDC_USER: 'tendon_cdc',
        CRM_CDC_PASSWORD: 'tendon-on-loopback',
      },
    }
  },
  ready: () => answers(`http://127.0.0.1:${port}/connectors`),
  exports: () => ({ KAFKA_CONNECT_URL: `http://127.0.0.1:${port}` }),
}

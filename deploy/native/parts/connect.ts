import { answers, deployFile, type Part, portOf } from '../part.ts'
import { archiveClasses, javaArgs, kafka, kafkaDistribution } from './kafka.ts'
import { crm } from './postgres.ts'

const port = portOf(18_083)

export const connect: Part = {
  name: 'connect',
  port,
  needs: ['crm', 'kafka'],
  prepare() {
    const distribution = kafkaDistribution()
    return {
      program: 'java',
      args: [
        ...javaArgs('connect', 512),
        'org.apache.kafka.connect.cli.ConnectDistributed',
        deployFile('connect/worker.properties'),
      ],
      cwd: distribution,
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
  initialize: async () => archiveClasses(connect),
  exports: () => ({ KAFKA_CONNECT_URL: `http://127.0.0.1:${port}` }),
}

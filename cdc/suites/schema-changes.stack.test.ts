import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testSchemaChanges } from './schema-changes.suite.ts'

testSchemaChanges(createKafkaWorld)

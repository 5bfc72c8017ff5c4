import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testGeneratedColumns } from './generated-columns.suite.ts'

testGeneratedColumns(createKafkaWorld)

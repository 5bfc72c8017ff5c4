import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testValues } from './values.suite.ts'

testValues(createKafkaWorld)

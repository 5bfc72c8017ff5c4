import { createKafkaWorld } from './kafka-world.fixture.ts'
import { testValues } from './values.suite.ts'

testValues(createKafkaWorld)

import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testMisfits } from './misfits.suite.ts'

testMisfits(createKafkaWorld)

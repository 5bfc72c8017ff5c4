import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testMisread } from './misread.suite.ts'

testMisread(createKafkaWorld, 1)

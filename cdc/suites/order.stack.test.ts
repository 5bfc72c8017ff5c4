import { createKafkaWorld } from '../kafka/kafka-world.fixture.ts'
import { testOrder } from './order.suite.ts'

testOrder(createKafkaWorld)

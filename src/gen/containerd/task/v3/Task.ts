// Original file: proto/containerd/shim-task-v3.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { WaitRequest as _containerd_task_v2_WaitRequest, WaitRequest__Output as _containerd_task_v2_WaitRequest__Output } from '../../../containerd/task/v2/WaitRequest.ts';
import type { WaitResponse as _containerd_task_v2_WaitResponse, WaitResponse__Output as _containerd_task_v2_WaitResponse__Output } from '../../../containerd/task/v2/WaitResponse.ts';

export interface TaskClient extends grpc.Client {
  Wait(argument: _containerd_task_v2_WaitRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_WaitResponse__Output>): grpc.ClientUnaryCall;
  Wait(argument: _containerd_task_v2_WaitRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_containerd_task_v2_WaitResponse__Output>): grpc.ClientUnaryCall;
  Wait(argument: _containerd_task_v2_WaitRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_WaitResponse__Output>): grpc.ClientUnaryCall;
  Wait(argument: _containerd_task_v2_WaitRequest, callback: grpc.requestCallback<_containerd_task_v2_WaitResponse__Output>): grpc.ClientUnaryCall;
  wait(argument: _containerd_task_v2_WaitRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_WaitResponse__Output>): grpc.ClientUnaryCall;
  wait(argument: _containerd_task_v2_WaitRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_containerd_task_v2_WaitResponse__Output>): grpc.ClientUnaryCall;
  wait(argument: _containerd_task_v2_WaitRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_WaitResponse__Output>): grpc.ClientUnaryCall;
  wait(argument: _containerd_task_v2_WaitRequest, callback: grpc.requestCallback<_containerd_task_v2_WaitResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface TaskHandlers extends grpc.UntypedServiceImplementation {
  Wait: grpc.handleUnaryCall<_containerd_task_v2_WaitRequest__Output, _containerd_task_v2_WaitResponse>;
  
}

export interface TaskDefinition extends grpc.ServiceDefinition {
  Wait: MethodDefinition<_containerd_task_v2_WaitRequest, _containerd_task_v2_WaitResponse, _containerd_task_v2_WaitRequest__Output, _containerd_task_v2_WaitResponse__Output>
}

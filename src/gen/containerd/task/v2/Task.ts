// Original file: proto/containerd/shim-task.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CloseIORequest as _containerd_task_v2_CloseIORequest, CloseIORequest__Output as _containerd_task_v2_CloseIORequest__Output } from '../../../containerd/task/v2/CloseIORequest.ts';
import type { DeleteRequest as _containerd_task_v2_DeleteRequest, DeleteRequest__Output as _containerd_task_v2_DeleteRequest__Output } from '../../../containerd/task/v2/DeleteRequest.ts';
import type { DeleteResponse as _containerd_task_v2_DeleteResponse, DeleteResponse__Output as _containerd_task_v2_DeleteResponse__Output } from '../../../containerd/task/v2/DeleteResponse.ts';
import type { Empty as _google_protobuf_Empty, Empty__Output as _google_protobuf_Empty__Output } from '../../../google/protobuf/Empty.ts';
import type { ExecProcessRequest as _containerd_task_v2_ExecProcessRequest, ExecProcessRequest__Output as _containerd_task_v2_ExecProcessRequest__Output } from '../../../containerd/task/v2/ExecProcessRequest.ts';
import type { KillRequest as _containerd_task_v2_KillRequest, KillRequest__Output as _containerd_task_v2_KillRequest__Output } from '../../../containerd/task/v2/KillRequest.ts';
import type { ResizePtyRequest as _containerd_task_v2_ResizePtyRequest, ResizePtyRequest__Output as _containerd_task_v2_ResizePtyRequest__Output } from '../../../containerd/task/v2/ResizePtyRequest.ts';
import type { StartRequest as _containerd_task_v2_StartRequest, StartRequest__Output as _containerd_task_v2_StartRequest__Output } from '../../../containerd/task/v2/StartRequest.ts';
import type { StartResponse as _containerd_task_v2_StartResponse, StartResponse__Output as _containerd_task_v2_StartResponse__Output } from '../../../containerd/task/v2/StartResponse.ts';
import type { WaitRequest as _containerd_task_v2_WaitRequest, WaitRequest__Output as _containerd_task_v2_WaitRequest__Output } from '../../../containerd/task/v2/WaitRequest.ts';
import type { WaitResponse as _containerd_task_v2_WaitResponse, WaitResponse__Output as _containerd_task_v2_WaitResponse__Output } from '../../../containerd/task/v2/WaitResponse.ts';

export interface TaskClient extends grpc.Client {
  CloseIO(argument: _containerd_task_v2_CloseIORequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  CloseIO(argument: _containerd_task_v2_CloseIORequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  CloseIO(argument: _containerd_task_v2_CloseIORequest, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  CloseIO(argument: _containerd_task_v2_CloseIORequest, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  closeIo(argument: _containerd_task_v2_CloseIORequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  closeIo(argument: _containerd_task_v2_CloseIORequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  closeIo(argument: _containerd_task_v2_CloseIORequest, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  closeIo(argument: _containerd_task_v2_CloseIORequest, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  
  Delete(argument: _containerd_task_v2_DeleteRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_DeleteResponse__Output>): grpc.ClientUnaryCall;
  Delete(argument: _containerd_task_v2_DeleteRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_containerd_task_v2_DeleteResponse__Output>): grpc.ClientUnaryCall;
  Delete(argument: _containerd_task_v2_DeleteRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_DeleteResponse__Output>): grpc.ClientUnaryCall;
  Delete(argument: _containerd_task_v2_DeleteRequest, callback: grpc.requestCallback<_containerd_task_v2_DeleteResponse__Output>): grpc.ClientUnaryCall;
  delete(argument: _containerd_task_v2_DeleteRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_DeleteResponse__Output>): grpc.ClientUnaryCall;
  delete(argument: _containerd_task_v2_DeleteRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_containerd_task_v2_DeleteResponse__Output>): grpc.ClientUnaryCall;
  delete(argument: _containerd_task_v2_DeleteRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_DeleteResponse__Output>): grpc.ClientUnaryCall;
  delete(argument: _containerd_task_v2_DeleteRequest, callback: grpc.requestCallback<_containerd_task_v2_DeleteResponse__Output>): grpc.ClientUnaryCall;
  
  Exec(argument: _containerd_task_v2_ExecProcessRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  Exec(argument: _containerd_task_v2_ExecProcessRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  Exec(argument: _containerd_task_v2_ExecProcessRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  Exec(argument: _containerd_task_v2_ExecProcessRequest, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  exec(argument: _containerd_task_v2_ExecProcessRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  exec(argument: _containerd_task_v2_ExecProcessRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  exec(argument: _containerd_task_v2_ExecProcessRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  exec(argument: _containerd_task_v2_ExecProcessRequest, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  
  Kill(argument: _containerd_task_v2_KillRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  Kill(argument: _containerd_task_v2_KillRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  Kill(argument: _containerd_task_v2_KillRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  Kill(argument: _containerd_task_v2_KillRequest, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  kill(argument: _containerd_task_v2_KillRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  kill(argument: _containerd_task_v2_KillRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  kill(argument: _containerd_task_v2_KillRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  kill(argument: _containerd_task_v2_KillRequest, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  
  ResizePty(argument: _containerd_task_v2_ResizePtyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  ResizePty(argument: _containerd_task_v2_ResizePtyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  ResizePty(argument: _containerd_task_v2_ResizePtyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  ResizePty(argument: _containerd_task_v2_ResizePtyRequest, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  resizePty(argument: _containerd_task_v2_ResizePtyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  resizePty(argument: _containerd_task_v2_ResizePtyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  resizePty(argument: _containerd_task_v2_ResizePtyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  resizePty(argument: _containerd_task_v2_ResizePtyRequest, callback: grpc.requestCallback<_google_protobuf_Empty__Output>): grpc.ClientUnaryCall;
  
  Start(argument: _containerd_task_v2_StartRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_StartResponse__Output>): grpc.ClientUnaryCall;
  Start(argument: _containerd_task_v2_StartRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_containerd_task_v2_StartResponse__Output>): grpc.ClientUnaryCall;
  Start(argument: _containerd_task_v2_StartRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_StartResponse__Output>): grpc.ClientUnaryCall;
  Start(argument: _containerd_task_v2_StartRequest, callback: grpc.requestCallback<_containerd_task_v2_StartResponse__Output>): grpc.ClientUnaryCall;
  start(argument: _containerd_task_v2_StartRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_StartResponse__Output>): grpc.ClientUnaryCall;
  start(argument: _containerd_task_v2_StartRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_containerd_task_v2_StartResponse__Output>): grpc.ClientUnaryCall;
  start(argument: _containerd_task_v2_StartRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_containerd_task_v2_StartResponse__Output>): grpc.ClientUnaryCall;
  start(argument: _containerd_task_v2_StartRequest, callback: grpc.requestCallback<_containerd_task_v2_StartResponse__Output>): grpc.ClientUnaryCall;
  
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
  CloseIO: grpc.handleUnaryCall<_containerd_task_v2_CloseIORequest__Output, _google_protobuf_Empty>;
  
  Delete: grpc.handleUnaryCall<_containerd_task_v2_DeleteRequest__Output, _containerd_task_v2_DeleteResponse>;
  
  Exec: grpc.handleUnaryCall<_containerd_task_v2_ExecProcessRequest__Output, _google_protobuf_Empty>;
  
  Kill: grpc.handleUnaryCall<_containerd_task_v2_KillRequest__Output, _google_protobuf_Empty>;
  
  ResizePty: grpc.handleUnaryCall<_containerd_task_v2_ResizePtyRequest__Output, _google_protobuf_Empty>;
  
  Start: grpc.handleUnaryCall<_containerd_task_v2_StartRequest__Output, _containerd_task_v2_StartResponse>;
  
  Wait: grpc.handleUnaryCall<_containerd_task_v2_WaitRequest__Output, _containerd_task_v2_WaitResponse>;
  
}

export interface TaskDefinition extends grpc.ServiceDefinition {
  CloseIO: MethodDefinition<_containerd_task_v2_CloseIORequest, _google_protobuf_Empty, _containerd_task_v2_CloseIORequest__Output, _google_protobuf_Empty__Output>
  Delete: MethodDefinition<_containerd_task_v2_DeleteRequest, _containerd_task_v2_DeleteResponse, _containerd_task_v2_DeleteRequest__Output, _containerd_task_v2_DeleteResponse__Output>
  Exec: MethodDefinition<_containerd_task_v2_ExecProcessRequest, _google_protobuf_Empty, _containerd_task_v2_ExecProcessRequest__Output, _google_protobuf_Empty__Output>
  Kill: MethodDefinition<_containerd_task_v2_KillRequest, _google_protobuf_Empty, _containerd_task_v2_KillRequest__Output, _google_protobuf_Empty__Output>
  ResizePty: MethodDefinition<_containerd_task_v2_ResizePtyRequest, _google_protobuf_Empty, _containerd_task_v2_ResizePtyRequest__Output, _google_protobuf_Empty__Output>
  Start: MethodDefinition<_containerd_task_v2_StartRequest, _containerd_task_v2_StartResponse, _containerd_task_v2_StartRequest__Output, _containerd_task_v2_StartResponse__Output>
  Wait: MethodDefinition<_containerd_task_v2_WaitRequest, _containerd_task_v2_WaitResponse, _containerd_task_v2_WaitRequest__Output, _containerd_task_v2_WaitResponse__Output>
}
